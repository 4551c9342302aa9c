/* The form of a generated model: one function a tensor, one a node, then the two exports. */
#include "QnnModel.hpp"
#include "QnnOpDef.h"

// Flag to determine if Backend should do node validation for each opNode added
#define DO_GRAPH_NODE_VALIDATIONS 1

using namespace qnn_wrapper_api;

extern "C" {

QNN_API extern const char* QNN_SDK_VERSION;
const char* QNN_SDK_VERSION = "qaisw-v2.51.0.260929181845";

static ModelError_t addTensor_x(QnnModel& model) {
  ModelError_t err = MODEL_NO_ERROR;
  uint32_t dimensions_x[] = {8, 32};
  VALIDATE(model.addTensor("x", // Tensor Name
                           (Qnn_Tensor_t) {
                               .version= QNN_TENSOR_VERSION_2,
                               {.v2= {
                                 .id=0,
                                 .name= "x",
                                 .type= QNN_TENSOR_TYPE_APP_WRITE,
                                 .dataFormat= QNN_TENSOR_DATA_FORMAT_DENSE,
                                 .dataType= QNN_DATATYPE_FLOAT_32,
                                 .quantizeParams= { QNN_DEFINITION_UNDEFINED,
                                                    QNN_QUANTIZATION_ENCODING_UNDEFINED,
                                                    {.scaleOffsetEncoding= {.scale= 0.0f, .offset= 0}}},
                                 .rank= 2,
                                 .dimensions=dimensions_x,
                                 .memType= QNN_TENSORMEMTYPE_RAW,
                                 {.clientBuf= { .data=nullptr,
                                                .dataSize=0}},
                                 .isDynamicDimensions= nullptr,
                                 .sparseParams= { QNN_SPARSE_LAYOUT_UNDEFINED,
                                                  {.hybridCoo= {.numSpecifiedElements= 0, .numSparseDimensions= 0}}},
                                 .isProduced= 0}}}
  ), err);
  return err;
}

static ModelError_t addTensor_fc_weight(QnnModel& model) {
  ModelError_t err = MODEL_NO_ERROR;
  uint32_t dimensions_fc_weight[] = {16, 32};
  VALIDATE(model.addTensor("fc.weight", // Tensor Name
                           (Qnn_Tensor_t) {
                               .version= QNN_TENSOR_VERSION_2,
                               {.v2= {
                                 .id=0,
                                 .name= "fc.weight",
                                 .type= QNN_TENSOR_TYPE_STATIC,
                                 .dataFormat= QNN_TENSOR_DATA_FORMAT_DENSE,
                                 .dataType= QNN_DATATYPE_FLOAT_32,
                                 .quantizeParams= { QNN_DEFINITION_UNDEFINED,
                                                    QNN_QUANTIZATION_ENCODING_UNDEFINED,
                                                    {.scaleOffsetEncoding= {.scale= 0.0f, .offset= 0}}},
                                 .rank= 2,
                                 .dimensions=dimensions_fc_weight,
                                 .memType= QNN_TENSORMEMTYPE_RAW,
                                 {.clientBuf= { .data=BINVARSTART(fc_weight),
                                                .dataSize=BINLEN(fc_weight)}},
                                 .isDynamicDimensions= nullptr,
                                 .sparseParams= { QNN_SPARSE_LAYOUT_UNDEFINED,
                                                  {.hybridCoo= {.numSpecifiedElements= 0, .numSparseDimensions= 0}}},
                                 .isProduced= 0}}}
  ), err);
  return err;
}

static ModelError_t addTensor_fc_bias(QnnModel& model) {
  ModelError_t err = MODEL_NO_ERROR;
  uint32_t dimensions_fc_bias[] = {16};
  VALIDATE(model.addTensor("fc.bias", // Tensor Name
                           (Qnn_Tensor_t) {
                               .version= QNN_TENSOR_VERSION_2,
                               {.v2= {
                                 .id=0,
                                 .name= "fc.bias",
                                 .type= QNN_TENSOR_TYPE_STATIC,
                                 .dataFormat= QNN_TENSOR_DATA_FORMAT_DENSE,
                                 .dataType= QNN_DATATYPE_FLOAT_32,
                                 .quantizeParams= { QNN_DEFINITION_UNDEFINED,
                                                    QNN_QUANTIZATION_ENCODING_UNDEFINED,
                                                    {.scaleOffsetEncoding= {.scale= 0.0f, .offset= 0}}},
                                 .rank= 1,
                                 .dimensions=dimensions_fc_bias,
                                 .memType= QNN_TENSORMEMTYPE_RAW,
                                 {.clientBuf= { .data=BINVARSTART(fc_bias),
                                                .dataSize=BINLEN(fc_bias)}},
                                 .isDynamicDimensions= nullptr,
                                 .sparseParams= { QNN_SPARSE_LAYOUT_UNDEFINED,
                                                  {.hybridCoo= {.numSpecifiedElements= 0, .numSparseDimensions= 0}}},
                                 .isProduced= 0}}}
  ), err);
  return err;
}

static ModelError_t addNode_fc(QnnModel& model) {
  ModelError_t err = MODEL_NO_ERROR;

  /* ADDING NODE FOR fc */
  Qnn_Param_t params_fc[] = {
    {.paramType=QNN_PARAMTYPE_SCALAR,
     .name="keep_dims",
     {.scalarParam= (Qnn_Scalar_t) {QNN_DATATYPE_BOOL_8, {.bool8Value = 0}}}}
  };
  const char* inputs_fc[] = {
    "x",
    "fc.weight",
    "fc.bias"
  };
  uint32_t dimensions_fc_out[] = {8, 16};
  Qnn_Tensor_t outputs_fc[] = {
    (Qnn_Tensor_t) {
          .version= QNN_TENSOR_VERSION_2,
          {.v2= {
            .id=0,
            .name= "fc_out",
            .type= QNN_TENSOR_TYPE_NATIVE,
            .dataFormat= QNN_TENSOR_DATA_FORMAT_DENSE,
            .dataType= QNN_DATATYPE_FLOAT_32,
            .quantizeParams= { QNN_DEFINITION_UNDEFINED,
                               QNN_QUANTIZATION_ENCODING_UNDEFINED,
                               {.scaleOffsetEncoding= {.scale= 0.0f, .offset= 0}}},
            .rank= 2,
            .dimensions=dimensions_fc_out,
            .memType= QNN_TENSORMEMTYPE_RAW,
            {.clientBuf= { .data=nullptr,
                           .dataSize=0}},
            .isDynamicDimensions= nullptr,
            .sparseParams= { QNN_SPARSE_LAYOUT_UNDEFINED,
                             {.hybridCoo= {.numSpecifiedElements= 0, .numSparseDimensions= 0}}},
            .isProduced= 0}}}
  };
  VALIDATE(model.addNode(QNN_OPCONFIG_VERSION_1, // Op_Config_t Version
                         "fc", // Node Name
                         "qti.aisw", // Package Name
                         "FullyConnected", // Qnn Node Type
                         params_fc, // Node Params
                         1, // Num Node Params
                         inputs_fc, // Input Tensor Names
                         3, // Num Input Tensor Names
                         outputs_fc, // Output Tensors
                         1// Num Output Tensors
  ), err);
  return err;
}

static ModelError_t addNode_transpose(QnnModel& model) {
  ModelError_t err = MODEL_NO_ERROR;

  /* ADDING NODE FOR transpose */
  uint32_t dimensions_transpose_perm[] = {2};
  uint32_t transpose_perm[] = {1, 0};
  Qnn_Param_t params_transpose[] = {
    {.paramType=QNN_PARAMTYPE_TENSOR,
     .name="perm",
     {.tensorParam=(Qnn_Tensor_t) {
          .version= QNN_TENSOR_VERSION_2,
          {.v2= {
            .id=0,
            .name= "transpose_perm",
            .type= QNN_TENSOR_TYPE_STATIC,
            .dataFormat= QNN_TENSOR_DATA_FORMAT_DENSE,
            .dataType= QNN_DATATYPE_UINT_32,
            .quantizeParams= { QNN_DEFINITION_UNDEFINED,
                               QNN_QUANTIZATION_ENCODING_UNDEFINED,
                               {.scaleOffsetEncoding= {.scale= 0.0f, .offset= 0}}},
            .rank= 1,
            .dimensions=dimensions_transpose_perm,
            .memType= QNN_TENSORMEMTYPE_RAW,
            {.clientBuf= { .data=(uint8_t*)transpose_perm,
                           .dataSize=8}},
            .isDynamicDimensions= nullptr,
            .sparseParams= { QNN_SPARSE_LAYOUT_UNDEFINED,
                             {.hybridCoo= {.numSpecifiedElements= 0, .numSparseDimensions= 0}}},
            .isProduced= 0}}}}}
  };
  const char* inputs_transpose[] = {
    "fc_out"
  };
  uint32_t dimensions_y[] = {16, 8};
  Qnn_Tensor_t outputs_transpose[] = {
    (Qnn_Tensor_t) {
          .version= QNN_TENSOR_VERSION_2,
          {.v2= {
            .id=0,
            .name= "y",
            .type= QNN_TENSOR_TYPE_APP_READ,
            .dataFormat= QNN_TENSOR_DATA_FORMAT_DENSE,
            .dataType= QNN_DATATYPE_FLOAT_32,
            .quantizeParams= { QNN_DEFINITION_UNDEFINED,
                               QNN_QUANTIZATION_ENCODING_UNDEFINED,
                               {.scaleOffsetEncoding= {.scale= 0.0f, .offset= 0}}},
            .rank= 2,
            .dimensions=dimensions_y,
            .memType= QNN_TENSORMEMTYPE_RAW,
            {.clientBuf= { .data=nullptr,
                           .dataSize=0}},
            .isDynamicDimensions= nullptr,
            .sparseParams= { QNN_SPARSE_LAYOUT_UNDEFINED,
                             {.hybridCoo= {.numSpecifiedElements= 0, .numSparseDimensions= 0}}},
            .isProduced= 0}}}
  };
  VALIDATE(model.addNode(QNN_OPCONFIG_VERSION_1, // Op_Config_t Version
                         "transpose", // Node Name
                         "qti.aisw", // Package Name
                         "Transpose", // Qnn Node Type
                         params_transpose, // Node Params
                         1, // Num Node Params
                         inputs_transpose, // Input Tensor Names
                         1, // Num Input Tensor Names
                         outputs_transpose, // Output Tensors
                         1// Num Output Tensors
  ), err);
  return err;
}

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
                                    QnnLog_Level_t maxLogLevel) {
  (void)logCallback;
  (void)maxLogLevel;
  ModelError_t err = MODEL_NO_ERROR;

  /* model/graph for tiny_fc */
  QnnModel tiny_fc;
  const QnnGraph_Config_t** graphConfigs = nullptr;
  VALIDATE(getQnnGraphConfigFromInfo("tiny_fc", graphsConfigInfo, numGraphsConfigInfo, graphConfigs), err);
  VALIDATE(tiny_fc.initialize(backendHandle, interface, contextHandle, "tiny_fc", debug, DO_GRAPH_NODE_VALIDATIONS, graphConfigs), err);
  VALIDATE(addTensor_x(tiny_fc), err);
  VALIDATE(addTensor_fc_weight(tiny_fc), err);
  VALIDATE(addTensor_fc_bias(tiny_fc), err);
  VALIDATE(addNode_fc(tiny_fc), err);
  VALIDATE(addNode_transpose(tiny_fc), err);

  // Add all models to array to get graphsInfo
  QnnModel* models [] = {&tiny_fc};
  uint32_t numModels = 1;

  // Populate the constructed graphs in provided output variables
  VALIDATE(getGraphInfoFromModels(*models, numModels, graphsInfo), err);
  *numGraphsInfo = numModels;

  return err;
} // PREPARE_GRAPHS

QNN_API
ModelError_t QnnModel_freeGraphsInfo(GraphInfoPtr_t** graphsInfo, uint32_t numGraphsInfo) {
  return qnn_wrapper_api::freeGraphsInfo(graphsInfo, numGraphsInfo);
} // FREEGRAPHINFO

}
