// What four neighbouring warps of Hopper do together (PTX ISA, "Asynchronous Warpgroup Level Matrix
// Instructions"): products of registers and shared memory that run beside other work, barriers
// between warpgroups of unlike roles, and registers handed from one to the other.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace regatta {

inline constexpr int kWarpgroup = 128;  // threads

// Whether this machine code may have these instructions; a kernel with them is empty elsewhere, and
// is not launched there (DeviceTraits::has_warpgroups).
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define REGATTA_HAS_WARPGROUPS 1
#endif

// A barrier in shared memory whose phases end after a fixed number of arrivals.
struct PhaseBarrier {
  uint64_t word;

  __device__ uint32_t address() const {
    return static_cast<uint32_t>(__cvta_generic_to_shared(&word));
  }
  __device__ void Init(int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address()), "r"(arrivals)
                 : "memory");
  }
  __device__ void Arrive() {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address()) : "memory");
  }
  // Arrives, and lets the phase end only when copies have brought so many bytes as well.
  __device__ void ArriveExpecting(int num_bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address()),
                 "r"(num_bytes)
                 : "memory");
  }
  // Arrives at this barrier of block `rank` of the cluster. What this thread wrote is not told with
  // it: that would take a microsecond.
  __device__ void ArriveAt(int rank) {
    asm volatile(
        "{.reg .b32 theirs;\n"
        "mapa.shared::cluster.u32 theirs, %0, %1;\n"
        "mbarrier.arrive.shared::cluster.b64 _, [theirs];}" ::"r"(address()),
        "r"(rank)
        : "memory");
  }
  // Returns once phase `phase` (0, 1, ...) has ended; it is the current one or that before it.
  __device__ void Await(int phase) {
    asm volatile(
        "{.reg .pred ended;\n"
        "again: mbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
        "@!ended bra again;}" ::"r"(address()),
        "r"(phase & 1)
        : "memory");
  }
};

// Barriers that this thread made can be used by copies; by other threads after the next barrier.
__device__ inline void PublishBarriers() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async;" ::: "memory");
}

// What this thread stored to shared memory is seen by products begun after the next barrier.
__device__ inline void PublishToProducts() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// The registers of each thread of a warpgroup from here on; all its warps come here.
template <int kCount>
__device__ void GiveRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ void TakeRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

// Registers that products read or write keep their values and places up to here.
template <int kBlocks>
__device__ void Pin(float (&values)[kBlocks][4]) {
#pragma unroll
  for (int n = 0; n < kBlocks; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(values[n][i])::"memory");
  }
}
template <int kBlocks>
__device__ void Pin(uint32_t (&values)[kBlocks][4]) {
#pragma unroll
  for (int n = 0; n < kBlocks; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) asm volatile("" : "+r"(values[n][i])::"memory");
  }
}

// Before the first product of registers that other instructions wrote.
__device__ inline void BeginProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Closes this warpgroup's group of products.
__device__ inline void CommitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Waits until at most the last `kPending` groups are under way.
template <int kPending>
__device__ void WaitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// A matrix of 16-bit elements in shared memory whose 128-byte lines are swizzled: chunk c of 16
// bytes of line l lies at c ^ (l % 8). Eight lines follow eight others; `column_blocks` is the
// bytes between matrices of 64 columns, where one product takes several.
__device__ inline uint64_t SwizzledMatrix(const void* first, uint32_t column_blocks) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(first));
  constexpr uint64_t kEightLines = 1024, kSwizzled128 = 1;
  return uint64_t{(address & 0x3ffff) >> 4} | uint64_t{column_blocks >> 4} << 16 |
         (kEightLines >> 4) << 32 | kSwizzled128 << 62;
}
// The same matrix from `bytes` further on.
__device__ inline uint64_t Further(uint64_t matrix, int bytes) { return matrix + (bytes >> 4); }

#define REGATTA_FOUR(d, n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
#define REGATTA_SIXTEEN(d, n) \
  REGATTA_FOUR(d, n), REGATTA_FOUR(d, n + 1), REGATTA_FOUR(d, n + 2), REGATTA_FOUR(d, n + 3)

// d = a b or d += a b, begun: a [64, 16] as fragments, b the transpose of 64 rows of 16 columns.
#define REGATTA_TIMES_ROWS(type)                                                             \
  asm volatile(                                                                              \
      "{.reg .pred adds; setp.ne.b32 adds, %37, 0;\n"                                        \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type                            \
      " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22," \
      "%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, adds, 1, 1, 0;}"        \
      : REGATTA_SIXTEEN(d, 0), REGATTA_SIXTEEN(d, 4)                                         \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(adds)))

template <typename T>
__device__ void BeginTimesRows(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b, bool adds) {
  if constexpr (std::is_same_v<T, __half>) {
    REGATTA_TIMES_ROWS("f16");
  } else {
    REGATTA_TIMES_ROWS("bf16");
  }
}

// d += a b, begun: a [64, 16] as fragments, b of 16 rows of 128 columns.
#define REGATTA_TIMES_COLUMNS(type)                                                              \
  asm volatile(                                                                                  \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." type "." type                               \
      " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,"     \
      "%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44," \
      "%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, {%64,%65,"  \
      "%66,%67}, %68, 1, 1, 1, 1;"                                                               \
      : REGATTA_SIXTEEN(d, 0), REGATTA_SIXTEEN(d, 4), REGATTA_SIXTEEN(d, 8),                     \
        REGATTA_SIXTEEN(d, 12)                                                                   \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

template <typename T>
__device__ void BeginTimesColumns(float (&d)[16][4], const uint32_t (&a)[4], uint64_t b) {
  if constexpr (std::is_same_v<T, __half>) {
    REGATTA_TIMES_COLUMNS("f16");
  } else {
    REGATTA_TIMES_COLUMNS("bf16");
  }
}

// d = a b or d += a b, begun, of matrices in shared memory: a has 64 rows of 32 bytes, and b,
// transposed, as many as d has columns.
#define REGATTA_MULTIPLY(columns, names, a_place, b_place, adds_place, type, rest, ...)   \
  asm volatile("{.reg .pred adds; setp.ne.b32 adds, %" adds_place                         \
               ", 0;\n"                                                                   \
               "wgmma.mma_async.sync.aligned.m64n" columns type " {" names "}, %" a_place \
               ", %" b_place ", adds, 1, 1" rest ";}"                                     \
               : __VA_ARGS__                                                              \
               : "l"(a), "l"(b), "r"(static_cast<int>(adds)))
#define REGATTA_MULTIPLY_TYPES(columns, names, a_place, b_place, adds_place, ...)                 \
  if constexpr (sizeof(T) == 1) {                                                                 \
    REGATTA_MULTIPLY(columns, names, a_place, b_place, adds_place, "k32.f32.e4m3.e4m3", "",       \
                     __VA_ARGS__);                                                                \
  } else if constexpr (std::is_same_v<T, __half>) {                                               \
    REGATTA_MULTIPLY(columns, names, a_place, b_place, adds_place, "k16.f32.f16.f16", ", 0, 0",   \
                     __VA_ARGS__);                                                                \
  } else {                                                                                        \
    REGATTA_MULTIPLY(columns, names, a_place, b_place, adds_place, "k16.f32.bf16.bf16", ", 0, 0", \
                     __VA_ARGS__);                                                                \
  }
#define REGATTA_NAMES_64                                                                 \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22"    \
  ",%23,%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43" \
  ",%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define REGATTA_NAMES_96                                                                 \
  REGATTA_NAMES_64                                                                       \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84" \
  ",%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define REGATTA_NAMES_112 \
  REGATTA_NAMES_96        \
  ",%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111"
#define REGATTA_NAMES_128 \
  REGATTA_NAMES_112       \
  ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"

template <typename T, int kBlocks>
__device__ void BeginMultiply(float (&d)[kBlocks][4], uint64_t a, uint64_t b, bool adds) {
  if constexpr (kBlocks == 16) {
    REGATTA_MULTIPLY_TYPES("128", REGATTA_NAMES_64, "64", "65", "66", REGATTA_SIXTEEN(d, 0),
                           REGATTA_SIXTEEN(d, 4), REGATTA_SIXTEEN(d, 8), REGATTA_SIXTEEN(d, 12))
  } else if constexpr (kBlocks == 24) {
    REGATTA_MULTIPLY_TYPES("192", REGATTA_NAMES_96, "96", "97", "98", REGATTA_SIXTEEN(d, 0),
                           REGATTA_SIXTEEN(d, 4), REGATTA_SIXTEEN(d, 8), REGATTA_SIXTEEN(d, 12),
                           REGATTA_SIXTEEN(d, 16), REGATTA_SIXTEEN(d, 20))
  } else if constexpr (kBlocks == 28) {
    REGATTA_MULTIPLY_TYPES("224", REGATTA_NAMES_112, "112", "113", "114", REGATTA_SIXTEEN(d, 0),
                           REGATTA_SIXTEEN(d, 4), REGATTA_SIXTEEN(d, 8), REGATTA_SIXTEEN(d, 12),
                           REGATTA_SIXTEEN(d, 16), REGATTA_SIXTEEN(d, 20), REGATTA_SIXTEEN(d, 24))
  } else {
    static_assert(kBlocks == 32);
    REGATTA_MULTIPLY_TYPES("256", REGATTA_NAMES_128, "128", "129", "130", REGATTA_SIXTEEN(d, 0),
                           REGATTA_SIXTEEN(d, 4), REGATTA_SIXTEEN(d, 8), REGATTA_SIXTEEN(d, 12),
                           REGATTA_SIXTEEN(d, 16), REGATTA_SIXTEEN(d, 20), REGATTA_SIXTEEN(d, 24),
                           REGATTA_SIXTEEN(d, 28))
  }
}

#undef REGATTA_NAMES_128
#undef REGATTA_NAMES_112
#undef REGATTA_NAMES_96
#undef REGATTA_NAMES_64
#undef REGATTA_MULTIPLY_TYPES
#undef REGATTA_MULTIPLY
#undef REGATTA_TIMES_COLUMNS
#undef REGATTA_TIMES_ROWS
#undef REGATTA_SIXTEEN
#undef REGATTA_FOUR

}  // namespace regatta
