/** Names that generated models use for operations. */
#ifndef QNN_OP_DEF_H
#define QNN_OP_DEF_H

#define QNN_OP_PACKAGE_NAME_QTI_AISW "qti.aisw"

#endif
