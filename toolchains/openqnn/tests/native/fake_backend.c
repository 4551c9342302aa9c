/* A backend of another API version: all that a program may look at before it refuses. */
#include "QnnInterface.h"

static QnnInterface_t provider = {6, "FAKE", {{2, CORE_MINOR, 0}, {5, 0, 0}}, {{0}}};
static const QnnInterface_t* providers[] = {&provider};

QNN_API Qnn_ErrorHandle_t ENTRY(const QnnInterface_t*** list, uint32_t* count);

Qnn_ErrorHandle_t ENTRY(const QnnInterface_t*** list, uint32_t* count) {
  *list = providers;
  *count = 1;
  return QNN_SUCCESS;
}
