# ruff: noqa: D100
# Added by docker/Dockerfile. The package index has torchvision for CUDA only; beside a CPU torch
# its operators cannot load, and the package would not even import. Declaring the two that its
# import asks for is enough for its transforms, all that is used here.
if not _has_ops():  # noqa: F821
    _declared = torch.library.Library("torchvision", "DEF")  # noqa: F821
    for _name in ("nms", "qnms"):
        _declared.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
