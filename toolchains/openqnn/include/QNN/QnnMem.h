/** Memory shared with a device. */
#ifndef QNN_MEM_H
#define QNN_MEM_H

#include "QnnTypes.h"

typedef struct Qnn_MemDescriptor_s Qnn_MemDescriptor_t;

typedef Qnn_ErrorHandle_t (*QnnMem_RegisterFn_t)(Qnn_ContextHandle_t context,
                                                 const Qnn_MemDescriptor_t* descriptors,
                                                 uint32_t count, Qnn_MemHandle_t* handles);
typedef Qnn_ErrorHandle_t (*QnnMem_DeRegisterFn_t)(const Qnn_MemHandle_t* handles, uint32_t count);

#endif
