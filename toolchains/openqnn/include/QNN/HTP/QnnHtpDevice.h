/** What the HTP backend adds to devices: its custom configuration and its infrastructure. */
#ifndef QNN_HTP_DEVICE_H
#define QNN_HTP_DEVICE_H

#include "../QnnDevice.h"
#include "QnnHtpPerfInfrastructure.h"

typedef enum {
  QNN_HTP_DEVICE_CONFIG_OPTION_SOC = 0,
  QNN_HTP_DEVICE_CONFIG_OPTION_ARCH = 1,
  QNN_HTP_DEVICE_CONFIG_OPTION_UNKNOWN = 0x7FFFFFFF
} QnnHtpDevice_ConfigOption_t;

typedef struct {
  uint32_t deviceId;
  uint32_t arch; /**< 73 for v73 */
} QnnHtpDevice_Minimum_Arch_t;

/** Some options openqnn has no use for are pointers: the values stand on an eight-byte boundary. */
typedef struct {
  QnnHtpDevice_ConfigOption_t option;
  union {
    uint32_t socModel;
    QnnHtpDevice_Minimum_Arch_t arch;
    void* pointer;
  };
} QnnHtpDevice_CustomConfig_t;

typedef enum {
  QNN_HTP_DEVICE_INFRASTRUCTURE_TYPE_PERF = 0,
  QNN_HTP_DEVICE_INFRASTRUCTURE_TYPE_UNKNOWN = 0x7FFFFFFF
} QnnHtpDevice_InfrastructureType_t;

typedef struct {
  QnnHtpPerfInfrastructure_CreatePowerConfigIdFn_t createPowerConfigId;
  QnnHtpPerfInfrastructure_DestroyPowerConfigIdFn_t destroyPowerConfigId;
  QnnHtpPerfInfrastructure_SetPowerConfigFn_t setPowerConfig;
  void* setMemoryConfig; /**< openqnn has no use for it */
} QnnHtpDevice_PerfInfrastructure_t;

/** What `QnnDevice_Infrastructure_t` points at. */
typedef struct {
  QnnHtpDevice_InfrastructureType_t infraType;
  QnnHtpDevice_PerfInfrastructure_t perfInfra;
} QnnHtpDevice_Infrastructure_t;

QNN_LAYOUT_ASSERT(sizeof(QnnHtpDevice_CustomConfig_t) == 16);
QNN_LAYOUT_ASSERT(offsetof(QnnHtpDevice_CustomConfig_t, socModel) == 8);
QNN_LAYOUT_ASSERT(sizeof(QnnHtpDevice_Infrastructure_t) == 40);
QNN_LAYOUT_ASSERT(offsetof(QnnHtpDevice_Infrastructure_t, perfInfra) == 8);

#endif
