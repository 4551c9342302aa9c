/** Words for error numbers. */
#ifndef QNN_ERROR_H
#define QNN_ERROR_H

#include "QnnCommon.h"

typedef Qnn_ErrorHandle_t (*QnnError_GetMessageFn_t)(Qnn_ErrorHandle_t error, const char** message);
typedef Qnn_ErrorHandle_t (*QnnError_GetVerboseMessageFn_t)(Qnn_ErrorHandle_t error,
                                                            const char** message);
typedef Qnn_ErrorHandle_t (*QnnError_FreeVerboseMessageFn_t)(const char* message);

#endif
