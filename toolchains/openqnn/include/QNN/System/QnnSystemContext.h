/**
 * What a context binary says about itself.
 *
 * Measured on contexts made by QAIRT 2.51, whose descriptions are of version 3. Members whose
 * meaning was not established are called `reserved`.
 */
#ifndef QNN_SYSTEM_CONTEXT_H
#define QNN_SYSTEM_CONTEXT_H

#include "../QnnContext.h"
#include "../QnnTypes.h"

typedef Qnn_Handle_t QnnSystemContext_Handle_t;

typedef enum {
  QNN_SYSTEM_CONTEXT_GRAPH_INFO_VERSION_3 = 3,
  QNN_SYSTEM_CONTEXT_GRAPH_INFO_VERSION_UNDEFINED = 0x7FFFFFFF
} QnnSystemContext_GraphInfoVersion_t;

typedef struct {
  char* graphName;
  uint32_t numGraphInputs;
  Qnn_Tensor_t* graphInputs;
  uint32_t numGraphOutputs;
  Qnn_Tensor_t* graphOutputs;
  uint32_t numUpdateableTensors;
  Qnn_Tensor_t* updateableTensors;
  uint32_t graphBlobInfoSize;
  void* graphBlobInfo;
  uint64_t reserved;
} QnnSystemContext_GraphInfoV3_t;

typedef struct {
  QnnSystemContext_GraphInfoVersion_t version;
  union {
    QnnSystemContext_GraphInfoV3_t graphInfoV3;
  };
} QnnSystemContext_GraphInfo_t;

typedef enum {
  QNN_SYSTEM_CONTEXT_BINARY_INFO_VERSION_3 = 3,
  QNN_SYSTEM_CONTEXT_BINARY_INFO_VERSION_UNDEFINED = 0x7FFFFFFF
} QnnSystemContext_BinaryInfoVersion_t;

typedef struct {
  uint32_t backendId;
  const char* buildId;
  Qnn_Version_t coreApiVersion;
  Qnn_Version_t backendApiVersion;
  const char* socVersion;
  Qnn_Version_t contextBlobVersion;
  Qnn_ContextBinarySize_t contextBlobSize;
  uint32_t numContextTensors;
  Qnn_Tensor_t* contextTensors;
  uint32_t numGraphs;
  QnnSystemContext_GraphInfo_t* graphs;
  void* reserved;
  uint32_t reservedSize;
  void* hwInfoBlob;
  uint32_t socModel;
} QnnSystemContext_BinaryInfoV3_t;

typedef struct {
  QnnSystemContext_BinaryInfoVersion_t version;
  union {
    QnnSystemContext_BinaryInfoV3_t contextBinaryInfoV3;
  };
} QnnSystemContext_BinaryInfo_t;

typedef Qnn_ErrorHandle_t (*QnnSystemContext_CreateFn_t)(QnnSystemContext_Handle_t* context);
typedef Qnn_ErrorHandle_t (*QnnSystemContext_GetBinaryInfoFn_t)(
    QnnSystemContext_Handle_t context, void* binary, uint64_t binarySize,
    const QnnSystemContext_BinaryInfo_t** info, Qnn_ContextBinarySize_t* infoSize);
/** As `getBinaryInfo`, for a buffer that it may not change. `info` lives as long as the context. */
typedef Qnn_ErrorHandle_t (*QnnSystemContext_GetMetaDataFn_t)(
    QnnSystemContext_Handle_t context, const void* binary, uint64_t binarySize,
    const QnnSystemContext_BinaryInfo_t** info);
typedef Qnn_ErrorHandle_t (*QnnSystemContext_FreeFn_t)(QnnSystemContext_Handle_t context);

QNN_LAYOUT_ASSERT(sizeof(QnnSystemContext_GraphInfo_t) == 88);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_GraphInfo_t, graphInfoV3.graphInputs) == 24);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_GraphInfo_t, graphInfoV3.graphOutputs) == 40);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_GraphInfo_t, graphInfoV3.graphBlobInfo) == 72);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_BinaryInfo_t, contextBinaryInfoV3.buildId) == 16);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_BinaryInfo_t, contextBinaryInfoV3.socVersion) == 48);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_BinaryInfo_t, contextBinaryInfoV3.graphs) == 104);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_BinaryInfo_t, contextBinaryInfoV3.hwInfoBlob) == 128);
QNN_LAYOUT_ASSERT(offsetof(QnnSystemContext_BinaryInfo_t, contextBinaryInfoV3.socModel) == 136);

#endif
