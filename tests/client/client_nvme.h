/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe structures and numbers as the host side needs them. Written from the specification, apart
 * from the server's own tables on purpose: two opinions find more errors than one.
 */
#ifndef CLIENT_NVME_H
#define CLIENT_NVME_H

#include <stdint.h>

struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags; /* FUSE 1:0, PSDT 7:6 */
	uint16_t cid;
	uint32_t nsid;
	uint32_t dw2;
	uint32_t dw3;
	uint64_t mptr;
	uint64_t prp1;
	uint64_t prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

struct nvme_cqe {
	uint32_t result;
	uint32_t dw1;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0 is the phase */
};

_Static_assert(sizeof(struct nvme_sqe) == 64, "submission queue entries are 64 bytes");
_Static_assert(sizeof(struct nvme_cqe) == 16, "completion queue entries are 16 bytes");

/* Status type and code without phase, retry delay and DNR: SCT << 8 | SC. */
static inline unsigned nvme_cqe_status(const struct nvme_cqe *cqe)
{
	return (unsigned)(cqe->status >> 1) & 0x7FF;
}

#define REG_CAP 0x00
#define REG_VS 0x08
#define REG_INTMS 0x0C
#define REG_INTMC 0x10
#define REG_CC 0x14
#define REG_CSTS 0x1C
#define REG_NSSR 0x20
#define REG_AQA 0x24
#define REG_ASQ 0x28
#define REG_ACQ 0x30
#define REG_DOORBELLS 0x1000

#define CC_ENABLE 0x00460001U
#define CC_DISABLE 0x00460000U
#define CC_SHN_NORMAL 0x4000U
#define CSTS_RDY 1U
#define CSTS_CFS 2U
#define CSTS_SHST(csts) (((csts) >> 2) & 3)

enum {
	ADMIN_DELETE_SQ = 0x00,
	ADMIN_CREATE_SQ = 0x01,
	ADMIN_GET_LOG = 0x02,
	ADMIN_DELETE_CQ = 0x04,
	ADMIN_CREATE_CQ = 0x05,
	ADMIN_IDENTIFY = 0x06,
	ADMIN_ABORT = 0x08,
	ADMIN_SET_FEATURES = 0x09,
	ADMIN_GET_FEATURES = 0x0A,
	ADMIN_ASYNC_EVENT = 0x0C,
	ADMIN_NS_ATTACH = 0x15,
	ADMIN_DOORBELL_BUFFER = 0x7C,
	ADMIN_FORMAT = 0x80,
};

enum {
	IO_FLUSH = 0x00,
	IO_WRITE = 0x01,
	IO_READ = 0x02,
	IO_COMPARE = 0x05,
	IO_WRITE_ZEROES = 0x08,
	IO_DSM = 0x09,
	IO_VERIFY = 0x0C,
	IO_COPY = 0x19,
};

#define IO_FUA (1U << 30)
#define IO_DEAC (1U << 25)
#define DSM_DEALLOCATE 4U

/* Status values as nvme_cqe_status() returns them. */
enum {
	ST_OK = 0x000,
	ST_INVALID_OPCODE = 0x001,
	ST_INVALID_FIELD = 0x002,
	ST_DATA_TRANSFER = 0x004,
	ST_ABORTED = 0x007,
	ST_SQ_DELETED = 0x008,
	ST_FUSED_FAILED = 0x009,
	ST_FUSED_MISSING = 0x00A,
	ST_INVALID_NAMESPACE = 0x00B,
	ST_SEQUENCE = 0x00C,
	ST_SGL_LENGTH = 0x00F,
	ST_SGL_TYPE = 0x011,
	ST_PRP_OFFSET = 0x013,
	ST_WRITE_PROTECTED = 0x020,
	ST_LBA_RANGE = 0x080,
	ST_INVALID_CQ = 0x100,
	ST_INVALID_QID = 0x101,
	ST_INVALID_QSIZE = 0x102,
	ST_AER_LIMIT = 0x105,
	ST_INVALID_VECTOR = 0x108,
	ST_INVALID_LOG = 0x109,
	ST_QUEUE_DELETION = 0x10C,
	ST_NOT_SAVEABLE = 0x10D,
	ST_NOT_CHANGEABLE = 0x10E,
	ST_COMPARE = 0x285,
};

struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t block_count;
	uint64_t lba;
};

struct nvme_copy_range {
	uint64_t reserved0;
	uint64_t lba;
	uint16_t block_count; /* 0-based */
	uint16_t reserved1;
	uint32_t reserved2;
	uint64_t reserved3;
};

struct nvme_sgl {
	uint64_t address;
	uint32_t length;
	uint8_t reserved[3];
	uint8_t type; /* type in the high nibble */
};

#define SGL_DATA 0x00
#define SGL_BIT_BUCKET 0x10
#define SGL_SEGMENT 0x20
#define SGL_LAST_SEGMENT 0x30
#define SQE_SGL 0x40

#endif
