"""The pieces of C++ that a model's source is put together from."""

from __future__ import annotations

from types import MappingProxyType

from openqnn import qnn

HEAD = """\
/*
 * Made by qnn-onnx-converter {version}.
 * Command: {command}
 */
#include "QnnModel.hpp"
#include "QnnOpDef.h"

// Flag to determine if Backend should do node validation for each opNode added
#define DO_GRAPH_NODE_VALIDATIONS 1

using namespace qnn_wrapper_api;

extern "C" {{

QNN_API extern const char* QNN_SDK_VERSION;
const char* QNN_SDK_VERSION = "{version}";
"""

WIDEN = """
// Weights are kept as 16-bit floats, in which the HTP computes, and handed over as the graph's
// 32-bit ones: the backend copies them, so that one buffer serves for all.
static const uint32_t LARGEST_WEIGHT = {largest};

static float widenedOne(uint16_t half) {{
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7FFF;
  const float scale = magnitude < 0x7C00 ? 5192296858534827628530496329220096.0f : 1.0f;  // 2^112
  uint32_t bits = magnitude << 13 | (magnitude < 0x7C00 ? 0 : 0x70000000);
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  value *= scale;
  __builtin_memcpy(&bits, &value, sizeof bits);
  bits |= sign;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}}

static uint8_t* widened(const uint8_t* halves, uint32_t bytes) {{
  static float buffer[LARGEST_WEIGHT];
  for (uint32_t i = 0; i < bytes / 2; ++i) {{
    buffer[i] = widenedOne((uint16_t)(halves[2 * i] | halves[2 * i + 1] << 8));
  }}
  return (uint8_t*)buffer;
}}
"""

TENSOR = """
static ModelError_t addTensor_{identifier}(QnnModel& model) {{
  ModelError_t err = MODEL_NO_ERROR;
{note}{arrays}\
  VALIDATE(model.addTensor({name}, // Tensor Name
    {literal}
  ), err);
  return err;
}}
"""

NODE = """
static ModelError_t addNode_{identifier}(QnnModel& model) {{
  ModelError_t err = MODEL_NO_ERROR;

  /* ADDING NODE FOR {identifier} */
{arrays}{params}\
  const char* inputs_{identifier}[] = {{
{inputs}
  }};
  Qnn_Tensor_t outputs_{identifier}[] = {{
{outputs}
  }};
  VALIDATE(model.addNode(QNN_OPCONFIG_VERSION_1, // Op_Config_t Version
                         {name}, // Node Name
                         {package}, // Package Name
                         {type}, // Qnn Node Type
                         {params_name}, // Node Params
                         {num_params}, // Num Node Params
                         inputs_{identifier}, // Input Tensor Names
                         {num_inputs}, // Num Input Tensor Names
                         outputs_{identifier}, // Output Tensors
                         {num_outputs} // Num Output Tensors
  ), err);
  return err;
}}
"""

PARAMS = """\
  Qnn_Param_t params_{identifier}[] = {{
{items}
  }};
"""

SCALAR_PARAM = """\
    {{.paramType=QNN_PARAMTYPE_SCALAR,
     .name={name},
     {{.scalarParam= (Qnn_Scalar_t) {{{datatype}, {{.{member} = {value}}}}}}}}}"""

TENSOR_PARAM = """\
    {{.paramType=QNN_PARAMTYPE_TENSOR,
     .name={name},
     {{.tensorParam= {literal}}}}}"""

LITERAL = """\
(Qnn_Tensor_t) {{
      .version= QNN_TENSOR_VERSION_2,
      {{.v2= {{
        .id=0,
        .name= {name},
        .type= {type},
        .dataFormat= QNN_TENSOR_DATA_FORMAT_DENSE,
        .dataType= {datatype},
        .quantizeParams= {quantization},
        .rank= {rank},
        .dimensions=dimensions_{identifier},
        .memType= QNN_TENSORMEMTYPE_RAW,
        {{.clientBuf= {{ .data={data},
                       .dataSize={size}}}}},
        .isDynamicDimensions= nullptr,
        .sparseParams= {{ QNN_SPARSE_LAYOUT_UNDEFINED,
                         {{.hybridCoo= {{.numSpecifiedElements= 0, .numSparseDimensions= 0}}}}}},
        .isProduced= 0}}}}}}"""

UNQUANTIZED = """\
{ QNN_DEFINITION_UNDEFINED,
                           QNN_QUANTIZATION_ENCODING_UNDEFINED,
                           {.scaleOffsetEncoding= {.scale= 0.0f, .offset= 0}}}"""

_QUANTIZED = """\
{{ QNN_DEFINITION_DEFINED,
                           QNN_QUANTIZATION_ENCODING_%s,
                           {{.%s}}}}"""

QUANTIZED = MappingProxyType(
    {
        qnn.SCALE_OFFSET: _QUANTIZED
        % ("SCALE_OFFSET", "scaleOffsetEncoding= {{.scale= {scale}, .offset= {offset}}}"),
        qnn.AXIS_SCALE_OFFSET: _QUANTIZED
        % (
            "AXIS_SCALE_OFFSET",
            "axisScaleOffsetEncoding= {{.axis= {axis}, .numScaleOffsets= {count}, "
            ".scaleOffset= {identifier}_axis_scale_offset}}",
        ),
        qnn.BW_SCALE_OFFSET: _QUANTIZED
        % (
            "BW_SCALE_OFFSET",
            "bwScaleOffsetEncoding= {{.bitwidth= {bitwidth}, .scale= {scale}, .offset= {offset}}}",
        ),
        qnn.BW_AXIS_SCALE_OFFSET: _QUANTIZED
        % (
            "BW_AXIS_SCALE_OFFSET",
            "bwAxisScaleOffsetEncoding= {{.bitwidth= {bitwidth}, .axis= {axis}, "
            ".numElements= {count}, .scales= {identifier}_scales, "
            ".offsets= {identifier}_offsets}}",
        ),
    }
)

TAIL = """
QNN_API
ModelError_t QnnModel_composeGraphs(Qnn_BackendHandle_t backendHandle,
                                    QNN_INTERFACE_VER_TYPE interface,
                                    Qnn_ContextHandle_t contextHandle,
                                    const GraphConfigInfo_t** graphsConfigInfo,
                                    const uint32_t numGraphsConfigInfo,
                                    GraphInfoPtr_t** graphsInfo,
                                    uint32_t* numGraphsInfo,
                                    bool debug,
                                    QnnLog_Callback_t logCallback,
                                    QnnLog_Level_t maxLogLevel) {{
  (void)logCallback;
  (void)maxLogLevel;
  ModelError_t err = MODEL_NO_ERROR;

  /* model/graph for {name}*/
  QnnModel {name};
  const QnnGraph_Config_t** graphConfigs = nullptr;
  VALIDATE(getQnnGraphConfigFromInfo("{name}", graphsConfigInfo, numGraphsConfigInfo,
                                     graphConfigs), err);
  VALIDATE({name}.initialize(backendHandle, interface, contextHandle, "{name}", debug,
                             DO_GRAPH_NODE_VALIDATIONS, graphConfigs), err);
{calls}

  // Add all models to array to get graphsInfo
  QnnModel* models[] = {{&{name}}};
  uint32_t numModels = 1;

  // Populate the constructed graphs in provided output variables
  VALIDATE(getGraphInfoFromModels(*models, numModels, graphsInfo), err);
  *numGraphsInfo = numModels;

  return err;
}} // PREPARE_GRAPHS

QNN_API
ModelError_t QnnModel_freeGraphsInfo(GraphInfoPtr_t** graphsInfo, uint32_t numGraphsInfo) {{
  return qnn_wrapper_api::freeGraphsInfo(graphsInfo, numGraphsInfo);
}} // FREEGRAPHINFO

}}
"""
