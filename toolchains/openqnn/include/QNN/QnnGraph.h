/** A graph: composed node by node, finalised once, executed often. */
#ifndef QNN_GRAPH_H
#define QNN_GRAPH_H

#include "QnnTypes.h"

typedef void* QnnGraph_CustomConfig_t;

typedef enum {
  QNN_GRAPH_CONFIG_OPTION_CUSTOM = 0,
  QNN_GRAPH_CONFIG_OPTION_PRIORITY = 1,
  QNN_GRAPH_CONFIG_OPTION_UNDEFINED = 0x7FFFFFFF
} QnnGraph_ConfigOption_t;

typedef struct {
  QnnGraph_ConfigOption_t option;
  union {
    QnnGraph_CustomConfig_t customConfig;
    Qnn_Priority_t priority;
  };
} QnnGraph_Config_t;

#define QNN_GRAPH_NO_ERROR QNN_SUCCESS

typedef void (*Qnn_NotifyFn_t)(void* parameter, Qnn_ErrorHandle_t error);

typedef Qnn_ErrorHandle_t (*QnnGraph_CreateFn_t)(Qnn_ContextHandle_t context, const char* name,
                                                 const QnnGraph_Config_t** config,
                                                 Qnn_GraphHandle_t* graph);
typedef Qnn_ErrorHandle_t (*QnnGraph_CreateSubgraphFn_t)(Qnn_GraphHandle_t graph, const char* name,
                                                         Qnn_GraphHandle_t* subgraph);
typedef Qnn_ErrorHandle_t (*QnnGraph_SetConfigFn_t)(Qnn_GraphHandle_t graph,
                                                    const QnnGraph_Config_t** config);
typedef Qnn_ErrorHandle_t (*QnnGraph_AddNodeFn_t)(Qnn_GraphHandle_t graph, Qnn_OpConfig_t opConfig);
typedef Qnn_ErrorHandle_t (*QnnGraph_FinalizeFn_t)(Qnn_GraphHandle_t graph,
                                                   Qnn_ProfileHandle_t profile,
                                                   Qnn_SignalHandle_t signal);
typedef Qnn_ErrorHandle_t (*QnnGraph_RetrieveFn_t)(Qnn_ContextHandle_t context, const char* name,
                                                   Qnn_GraphHandle_t* graph);
typedef Qnn_ErrorHandle_t (*QnnGraph_ExecuteFn_t)(Qnn_GraphHandle_t graph,
                                                  const Qnn_Tensor_t* inputs, uint32_t numInputs,
                                                  Qnn_Tensor_t* outputs, uint32_t numOutputs,
                                                  Qnn_ProfileHandle_t profile,
                                                  Qnn_SignalHandle_t signal);
typedef Qnn_ErrorHandle_t (*QnnGraph_ExecuteAsyncFn_t)(
    Qnn_GraphHandle_t graph, const Qnn_Tensor_t* inputs, uint32_t numInputs, Qnn_Tensor_t* outputs,
    uint32_t numOutputs, Qnn_ProfileHandle_t profile, Qnn_SignalHandle_t signal,
    Qnn_NotifyFn_t notify, void* notifyParameter);

QNN_LAYOUT_ASSERT(sizeof(QnnGraph_Config_t) == 16);

#endif
