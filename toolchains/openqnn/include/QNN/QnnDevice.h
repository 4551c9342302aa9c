/** The device that graphs are prepared for, or run on. */
#ifndef QNN_DEVICE_H
#define QNN_DEVICE_H

#include "QnnTypes.h"

typedef void* QnnDevice_CustomConfig_t;
typedef struct QnnDevice_Infrastructure_s* QnnDevice_Infrastructure_t;

typedef struct {
  uint32_t coreId;
  uint32_t coreType;
  void* coreInfoExtension;
} QnnDevice_CoreInfoV1_t;

typedef struct {
  uint32_t version; /**< 1 */
  QnnDevice_CoreInfoV1_t v1;
} QnnDevice_CoreInfo_t;

typedef struct {
  uint32_t deviceId;
  uint32_t deviceType;
  uint32_t numCores;
  QnnDevice_CoreInfo_t* cores;
  void* deviceInfoExtension;
} QnnDevice_HardwareDeviceInfoV1_t;

typedef struct {
  uint32_t version; /**< 1 */
  QnnDevice_HardwareDeviceInfoV1_t v1;
} QnnDevice_HardwareDeviceInfo_t;

typedef struct {
  uint32_t numHwDevices;
  QnnDevice_HardwareDeviceInfo_t* hwDevices;
} QnnDevice_PlatformInfoV1_t;

/** The NPUs of a machine, or those that are to be used. */
typedef struct {
  uint32_t version; /**< 1 */
  QnnDevice_PlatformInfoV1_t v1;
} QnnDevice_PlatformInfo_t;

typedef enum {
  QNN_DEVICE_CONFIG_OPTION_CUSTOM = 0,
  QNN_DEVICE_CONFIG_OPTION_PLATFORM_INFO = 1,
  QNN_DEVICE_CONFIG_OPTION_UNDEFINED = 0x7FFFFFFF
} QnnDevice_ConfigOption_t;

typedef struct {
  QnnDevice_ConfigOption_t option;
  union {
    QnnDevice_CustomConfig_t customConfig;
    QnnDevice_PlatformInfo_t* hardwareInfo;
  };
} QnnDevice_Config_t;

typedef Qnn_ErrorHandle_t (*QnnDevice_GetPlatformInfoFn_t)(Qnn_LogHandle_t logger,
                                                           const QnnDevice_PlatformInfo_t** info);
typedef Qnn_ErrorHandle_t (*QnnDevice_FreePlatformInfoFn_t)(Qnn_LogHandle_t logger,
                                                            const QnnDevice_PlatformInfo_t* info);
typedef Qnn_ErrorHandle_t (*QnnDevice_GetInfrastructureFn_t)(
    QnnDevice_Infrastructure_t* infrastructure);
typedef Qnn_ErrorHandle_t (*QnnDevice_CreateFn_t)(Qnn_LogHandle_t logger,
                                                  const QnnDevice_Config_t** config,
                                                  Qnn_DeviceHandle_t* device);
typedef Qnn_ErrorHandle_t (*QnnDevice_SetConfigFn_t)(Qnn_DeviceHandle_t device,
                                                     const QnnDevice_Config_t** config);
typedef Qnn_ErrorHandle_t (*QnnDevice_GetInfoFn_t)(Qnn_DeviceHandle_t device,
                                                   const QnnDevice_PlatformInfo_t** info);
typedef Qnn_ErrorHandle_t (*QnnDevice_FreeFn_t)(Qnn_DeviceHandle_t device);

QNN_LAYOUT_ASSERT(sizeof(QnnDevice_Config_t) == 16);
QNN_LAYOUT_ASSERT(sizeof(QnnDevice_CoreInfo_t) == 24);
QNN_LAYOUT_ASSERT(sizeof(QnnDevice_HardwareDeviceInfo_t) == 40);
QNN_LAYOUT_ASSERT(offsetof(QnnDevice_HardwareDeviceInfoV1_t, cores) == 16);
QNN_LAYOUT_ASSERT(sizeof(QnnDevice_PlatformInfo_t) == 24);

#endif
