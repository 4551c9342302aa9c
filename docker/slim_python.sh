#!/bin/sh
# Take out of the Python packages in $1 what no stage uses: 320 MB.
set -eu
cd "$1"
# Tests, headers and programs to build against torch with.
find . -depth -type d -name tests -exec rm -r {} +
find torch/bin -type f ! -name torch_shm_manager -delete
rm -r torch/test torch/include onnx/backend/test/data
# Operators for CUDA: beside a CPU torch they cannot load (docker/torchvision_cpu.py).
rm -r torchvision/_C.so torchvision/image.so torchvision.libs
# Names of functions that no other file asks for: they serve a debugger.
strip --strip-unneeded torch/lib/libtorch_cpu.so torch/lib/libtorch_python.so
# Every architecture but ours, and what chooses among them.
find transformers/models -mindepth 1 -maxdepth 1 -type d ! -name auto ! -name 'dinov*' -exec rm -r {} +
