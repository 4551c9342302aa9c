/**
 * Handles, versions and results that every part of the QNN C interface shares.
 *
 * These headers are openqnn's own. They declare the part of the binary interface that openqnn uses,
 * under the public API's names, so that a generated model compiles against them or against the
 * headers of an official SDK. Sizes and offsets were measured on the libraries of QAIRT 2.51 and
 * are asserted here for every compiler that includes them.
 */
#ifndef QNN_COMMON_H
#define QNN_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define QNN_LAYOUT_ASSERT(condition) static_assert(condition, #condition)
#else
#define QNN_LAYOUT_ASSERT(condition) _Static_assert(condition, #condition)
#endif

#ifndef QNN_API
#define QNN_API __attribute__((visibility("default")))
#endif

/** The core API these declarations follow. */
#define QNN_API_VERSION_MAJOR 2
#define QNN_API_VERSION_MINOR 40
#define QNN_API_VERSION_PATCH 0

typedef void* Qnn_Handle_t;
typedef Qnn_Handle_t Qnn_BackendHandle_t;
typedef Qnn_Handle_t Qnn_ContextHandle_t;
typedef Qnn_Handle_t Qnn_DeviceHandle_t;
typedef Qnn_Handle_t Qnn_GraphHandle_t;
typedef Qnn_Handle_t Qnn_LogHandle_t;
typedef Qnn_Handle_t Qnn_MemHandle_t;
typedef Qnn_Handle_t Qnn_OpPackageHandle_t;
typedef Qnn_Handle_t Qnn_ProfileHandle_t;
typedef Qnn_Handle_t Qnn_SignalHandle_t;

/** Zero is success; the low bits of anything else are an error number of the part that failed. */
typedef uint64_t Qnn_ErrorHandle_t;
#define QNN_SUCCESS 0
/** The backend has no such function or feature. */
#define QNN_COMMON_ERROR_NOT_SUPPORTED 1000
#define QNN_GET_ERROR_CODE(error) ((error)&0xFFFF)

typedef struct {
  uint32_t major;
  uint32_t minor;
  uint32_t patch;
} Qnn_Version_t;

typedef struct {
  Qnn_Version_t coreApiVersion;
  Qnn_Version_t backendApiVersion;
} Qnn_ApiVersion_t;

QNN_LAYOUT_ASSERT(sizeof(void*) == 8);
QNN_LAYOUT_ASSERT(sizeof(Qnn_ApiVersion_t) == 24);

#endif
