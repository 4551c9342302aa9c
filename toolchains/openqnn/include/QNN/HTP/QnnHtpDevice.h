/** What the HTP backend takes as `QnnDevice_Config_t::customConfig`. */
#ifndef QNN_HTP_DEVICE_H
#define QNN_HTP_DEVICE_H

#include "../QnnDevice.h"

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

QNN_LAYOUT_ASSERT(sizeof(QnnHtpDevice_CustomConfig_t) == 16);
QNN_LAYOUT_ASSERT(offsetof(QnnHtpDevice_CustomConfig_t, socModel) == 8);

#endif
