/**
 * The one entry of a backend library, and its table of functions.
 *
 * The table of QAIRT 2.51 has 25 more entries after the last one declared here; the libraries keep
 * the order and only append. A model library takes the table by value, so that a library and the
 * program that loads it must be built from the same headers.
 */
#ifndef QNN_INTERFACE_H
#define QNN_INTERFACE_H

#include "QnnBackend.h"
#include "QnnContext.h"
#include "QnnDevice.h"
#include "QnnError.h"
#include "QnnGraph.h"
#include "QnnLog.h"
#include "QnnMem.h"
#include "QnnProfile.h"
#include "QnnProperty.h"
#include "QnnSignal.h"
#include "QnnTensor.h"

#define QNN_INTERFACE_VER_NAME v2_40
#define QNN_INTERFACE_VER_TYPE QnnInterface_ImplementationV2_40_t

typedef struct {
  QnnProperty_HasCapabilityFn_t propertyHasCapability;

  QnnBackend_CreateFn_t backendCreate;
  QnnBackend_SetConfigFn_t backendSetConfig;
  QnnBackend_GetApiVersionFn_t backendGetApiVersion;
  QnnBackend_GetBuildIdFn_t backendGetBuildId;
  QnnBackend_RegisterOpPackageFn_t backendRegisterOpPackage;
  QnnBackend_GetSupportedOperationsFn_t backendGetSupportedOperations;
  QnnBackend_ValidateOpConfigFn_t backendValidateOpConfig;
  QnnBackend_FreeFn_t backendFree;

  QnnContext_CreateFn_t contextCreate;
  QnnContext_SetConfigFn_t contextSetConfig;
  QnnContext_GetBinarySizeFn_t contextGetBinarySize;
  QnnContext_GetBinaryFn_t contextGetBinary;
  QnnContext_CreateFromBinaryFn_t contextCreateFromBinary;
  QnnContext_FreeFn_t contextFree;

  QnnGraph_CreateFn_t graphCreate;
  QnnGraph_CreateSubgraphFn_t graphCreateSubgraph;
  QnnGraph_SetConfigFn_t graphSetConfig;
  QnnGraph_AddNodeFn_t graphAddNode;
  QnnGraph_FinalizeFn_t graphFinalize;
  QnnGraph_RetrieveFn_t graphRetrieve;
  QnnGraph_ExecuteFn_t graphExecute;
  QnnGraph_ExecuteAsyncFn_t graphExecuteAsync;

  QnnTensor_CreateContextTensorFn_t tensorCreateContextTensor;
  QnnTensor_CreateGraphTensorFn_t tensorCreateGraphTensor;

  QnnLog_CreateFn_t logCreate;
  QnnLog_SetLogLevelFn_t logSetLogLevel;
  QnnLog_FreeFn_t logFree;

  QnnProfile_CreateFn_t profileCreate;
  QnnProfile_SetConfigFn_t profileSetConfig;
  QnnProfile_GetEventsFn_t profileGetEvents;
  QnnProfile_GetSubEventsFn_t profileGetSubEvents;
  QnnProfile_GetEventDataFn_t profileGetEventData;
  QnnProfile_GetExtendedEventDataFn_t profileGetExtendedEventData;
  QnnProfile_FreeFn_t profileFree;

  QnnMem_RegisterFn_t memRegister;
  QnnMem_DeRegisterFn_t memDeRegister;

  QnnDevice_GetPlatformInfoFn_t deviceGetPlatformInfo;
  QnnDevice_FreePlatformInfoFn_t deviceFreePlatformInfo;
  QnnDevice_GetInfrastructureFn_t deviceGetInfrastructure;
  QnnDevice_CreateFn_t deviceCreate;
  QnnDevice_SetConfigFn_t deviceSetConfig;
  QnnDevice_GetInfoFn_t deviceGetInfo;
  QnnDevice_FreeFn_t deviceFree;

  QnnSignal_CreateFn_t signalCreate;
  QnnSignal_SetConfigFn_t signalSetConfig;
  QnnSignal_TriggerFn_t signalTrigger;
  QnnSignal_FreeFn_t signalFree;

  QnnError_GetMessageFn_t errorGetMessage;
  QnnError_GetVerboseMessageFn_t errorGetVerboseMessage;
  QnnError_FreeVerboseMessageFn_t errorFreeVerboseMessage;
} QnnInterface_ImplementationV2_40_t;

typedef struct {
  uint32_t backendId;
  const char* providerName;
  Qnn_ApiVersion_t apiVersion;
  union {
    QnnInterface_ImplementationV2_40_t QNN_INTERFACE_VER_NAME;
  };
} QnnInterface_t;

/** Exported by every backend library under the name `QnnInterface_getProviders`. */
typedef Qnn_ErrorHandle_t (*QnnInterface_GetProvidersFn_t)(const QnnInterface_t*** providers,
                                                           uint32_t* count);

QNN_LAYOUT_ASSERT(sizeof(QnnInterface_ImplementationV2_40_t) == 51 * 8);
QNN_LAYOUT_ASSERT(offsetof(QnnInterface_t, apiVersion) == 16);
QNN_LAYOUT_ASSERT(offsetof(QnnInterface_t, QNN_INTERFACE_VER_NAME) == 40);
QNN_LAYOUT_ASSERT(offsetof(QnnInterface_ImplementationV2_40_t, contextCreate) == 9 * 8);
QNN_LAYOUT_ASSERT(offsetof(QnnInterface_ImplementationV2_40_t, graphCreate) == 15 * 8);
QNN_LAYOUT_ASSERT(offsetof(QnnInterface_ImplementationV2_40_t, tensorCreateGraphTensor) == 24 * 8);
QNN_LAYOUT_ASSERT(offsetof(QnnInterface_ImplementationV2_40_t, deviceFree) == 43 * 8);

#endif
