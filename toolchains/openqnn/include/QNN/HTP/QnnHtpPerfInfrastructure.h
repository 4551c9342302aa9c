/**
 * Votes for the clocks of an HTP, part of what `QnnDevice_getInfrastructure` gives.
 *
 * Values are those of QAIRT 2.51; the memory settings are left out.
 */
#ifndef QNN_HTP_PERF_INFRASTRUCTURE_H
#define QNN_HTP_PERF_INFRASTRUCTURE_H

#include "../QnnCommon.h"

/** Operating points of voltage, and with it of the clock, from slow to fast. */
typedef enum {
  DCVS_VOLTAGE_CORNER_DISABLE = 0x10,
  DCVS_VOLTAGE_VCORNER_SVS2 = 0x30,
  DCVS_VOLTAGE_VCORNER_SVS = 0x40,
  DCVS_VOLTAGE_VCORNER_SVS_PLUS = 0x50,
  DCVS_VOLTAGE_VCORNER_NOM = 0x60,
  DCVS_VOLTAGE_VCORNER_NOM_PLUS = 0x70,
  DCVS_VOLTAGE_VCORNER_TURBO = 0x80,
  DCVS_VOLTAGE_VCORNER_TURBO_PLUS = 0x90,
  DCVS_VOLTAGE_VCORNER_MAX_VOLTAGE_CORNER = 0xA0,
  DCVS_VOLTAGE_VCORNER_UNKNOWN = 0x7FFFFFFF
} QnnHtpPerfInfrastructure_VoltageCorner_t;

/** How DCVS, where it is enabled, moves between the corners. */
typedef enum {
  QNN_HTP_PERF_INFRASTRUCTURE_POWERMODE_ADJUST_UP_DOWN = 0x1,
  QNN_HTP_PERF_INFRASTRUCTURE_POWERMODE_POWER_SAVER_MODE = 0x4,
  QNN_HTP_PERF_INFRASTRUCTURE_POWERMODE_PERFORMANCE_MODE = 0x10,
  QNN_HTP_PERF_INFRASTRUCTURE_POWERMODE_UNKNOWN = 0x7FFFFFFF
} QnnHtpPerfInfrastructure_PowerMode_t;

/** A member counts where the `set` before it is one. */
typedef struct {
  uint32_t contextId; /**< the power config id */
  uint32_t setDcvsEnable;
  uint32_t dcvsEnable;
  QnnHtpPerfInfrastructure_PowerMode_t powerMode;
  uint32_t setSleepLatency;
  uint32_t sleepLatency; /**< microseconds that waking up may take */
  uint32_t setSleepDisable;
  uint32_t sleepDisable;
  uint32_t setBusParams;
  QnnHtpPerfInfrastructure_VoltageCorner_t busVoltageCornerMin;
  QnnHtpPerfInfrastructure_VoltageCorner_t busVoltageCornerTarget;
  QnnHtpPerfInfrastructure_VoltageCorner_t busVoltageCornerMax;
  uint32_t setCoreParams;
  QnnHtpPerfInfrastructure_VoltageCorner_t coreVoltageCornerMin;
  QnnHtpPerfInfrastructure_VoltageCorner_t coreVoltageCornerTarget;
  QnnHtpPerfInfrastructure_VoltageCorner_t coreVoltageCornerMax;
} QnnHtpPerfInfrastructure_DcvsV3_t;

typedef enum {
  QNN_HTP_PERF_INFRASTRUCTURE_POWER_CONFIGOPTION_DCVS_V3 = 1,
  QNN_HTP_PERF_INFRASTRUCTURE_POWER_CONFIGOPTION_RPC_CONTROL_LATENCY = 2,
  QNN_HTP_PERF_INFRASTRUCTURE_POWER_CONFIGOPTION_RPC_POLLING_TIME = 3,
  QNN_HTP_PERF_INFRASTRUCTURE_POWER_CONFIGOPTION_UNKNOWN = 0x7FFFFFFF
} QnnHtpPerfInfrastructure_PowerConfigOption_t;

typedef struct {
  QnnHtpPerfInfrastructure_PowerConfigOption_t option;
  union {
    QnnHtpPerfInfrastructure_DcvsV3_t dcvsV3Config;
    uint32_t rpcControlLatencyConfig; /**< microseconds */
    uint32_t rpcPollingTimeConfig;    /**< microseconds, at most 9999 */
  };
} QnnHtpPerfInfrastructure_PowerConfig_t;

typedef Qnn_ErrorHandle_t (*QnnHtpPerfInfrastructure_CreatePowerConfigIdFn_t)(
    uint32_t deviceId, uint32_t coreId, uint32_t* powerConfigId);
typedef Qnn_ErrorHandle_t (*QnnHtpPerfInfrastructure_DestroyPowerConfigIdFn_t)(
    uint32_t powerConfigId);
typedef Qnn_ErrorHandle_t (*QnnHtpPerfInfrastructure_SetPowerConfigFn_t)(
    uint32_t powerConfigId, const QnnHtpPerfInfrastructure_PowerConfig_t** config);

QNN_LAYOUT_ASSERT(sizeof(QnnHtpPerfInfrastructure_DcvsV3_t) == 64);
QNN_LAYOUT_ASSERT(offsetof(QnnHtpPerfInfrastructure_DcvsV3_t, busVoltageCornerMin) == 36);
QNN_LAYOUT_ASSERT(offsetof(QnnHtpPerfInfrastructure_DcvsV3_t, coreVoltageCornerMin) == 52);
QNN_LAYOUT_ASSERT(sizeof(QnnHtpPerfInfrastructure_PowerConfig_t) == 68);
QNN_LAYOUT_ASSERT(offsetof(QnnHtpPerfInfrastructure_PowerConfig_t, rpcPollingTimeConfig) == 4);

#endif
