/** The one entry of libQnnSystem.so. Its table goes on behind what is declared here. */
#ifndef QNN_SYSTEM_INTERFACE_H
#define QNN_SYSTEM_INTERFACE_H

#include "QnnSystemContext.h"

#define QNN_SYSTEM_API_VERSION_MAJOR 1
#define QNN_SYSTEM_API_VERSION_MINOR 15

#define QNN_SYSTEM_INTERFACE_VER_NAME v1_15
#define QNN_SYSTEM_INTERFACE_VER_TYPE QnnSystemInterface_ImplementationV1_15_t

typedef struct {
  QnnSystemContext_CreateFn_t systemContextCreate;
  QnnSystemContext_GetBinaryInfoFn_t systemContextGetBinaryInfo;
  QnnSystemContext_GetMetaDataFn_t systemContextGetMetaData;
  QnnSystemContext_FreeFn_t systemContextFree;
} QnnSystemInterface_ImplementationV1_15_t;

typedef struct {
  uint32_t backendId;
  const char* providerName;
  Qnn_Version_t systemApiVersion;
  union {
    QnnSystemInterface_ImplementationV1_15_t QNN_SYSTEM_INTERFACE_VER_NAME;
  };
} QnnSystemInterface_t;

/** Exported under the name `QnnSystemInterface_getProviders`. */
typedef Qnn_ErrorHandle_t (*QnnSystemInterface_GetProvidersFn_t)(
    const QnnSystemInterface_t*** providers, uint32_t* count);

QNN_LAYOUT_ASSERT(offsetof(QnnSystemInterface_t, QNN_SYSTEM_INTERFACE_VER_NAME) == 32);

#endif
