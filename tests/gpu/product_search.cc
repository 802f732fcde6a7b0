// What cuBLASLt's guesses leave: its ways to run the products of a layer and their variants, timed,
// beside its first guess and the best of the ten that tuning asks for; then the best held for 0.3 s
// each, when the device is at its power limit. Alone on a GPU machine:
//   g++ -O2 -std=c++20 -I/usr/local/cuda/include tests/gpu/product_search.cc
//   -L/usr/local/cuda/lib64 -lcublasLt -lcudart -o /tmp/product_search /tmp/product_search fp8|bf16
//   TOKENS...
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kWorkspace = size_t{64} << 20;
constexpr size_t kBeyondCaches = size_t{150} << 20;
constexpr int kAsked = 10, kMost = 256, kFinalists = 12;
constexpr double kHeldSeconds = 0.3;
constexpr double kNever = 1e9;  // microseconds

#define MUST(call)                                                \
  do {                                                            \
    if (const int status = static_cast<int>(call); status != 0) { \
      std::fprintf(stderr, "%s: %d\n", #call, status);            \
      std::exit(1);                                               \
    }                                                             \
  } while (0)

struct Product {
  const char* name;
  int64_t out, in;
};
constexpr Product kLayer[] = {
    {"qkv", 6144, 4096}, {"o", 4096, 4096}, {"gate_up", 28672, 4096}, {"down", 4096, 14336}};

// One product with as many weights as no cache holds, and its descriptions.
class Bench {
 public:
  Bench(cublasLtHandle_t blas, cudaStream_t stream, bool fp8, const Product& product,
        int64_t tokens)
      : blas_(blas), stream_(stream) {
    const cudaDataType_t type = fp8 ? CUDA_R_8F_E4M3 : CUDA_R_16BF;
    const int64_t size = fp8 ? 1 : 2;
    bytes_ = product.out * product.in * size;
    copies_ = static_cast<int>(std::max<int64_t>(2, kBeyondCaches / bytes_ + 1));
    MUST(cudaMalloc(&weights_, copies_ * bytes_));
    MUST(cudaMalloc(&x_, tokens * product.in * size));
    MUST(cudaMalloc(&y_, tokens * product.out * 2));
    MUST(cudaMalloc(&workspace_, kWorkspace));
    MUST(cudaMalloc(&scale_, 2 * sizeof(float)));
    const float ones[] = {1, 1};
    MUST(cudaMemcpy(scale_, ones, sizeof(ones), cudaMemcpyHostToDevice));
    // Bytes that are small numbers in either type; zeros would take less power than data does.
    std::vector<uint8_t> bytes(1 << 20);
    uint32_t state = 1;
    for (size_t i = 0; i < bytes.size(); ++i) {
      state = state * 1664525 + 1013904223;
      bytes[i] = fp8 || i % 2 == 0 ? (state >> 24 & 0xbf) : (0x3c | (state >> 24 & 0x81));
    }
    Fill(weights_, copies_ * bytes_, bytes);
    Fill(x_, tokens * product.in * size, bytes);
    MUST(cublasLtMatmulDescCreate(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const cublasOperation_t transposed = CUBLAS_OP_T;
    Set(CUBLASLT_MATMUL_DESC_TRANSA, transposed);
    if (fp8) {
      const int8_t fast = 1;
      Set(CUBLASLT_MATMUL_DESC_FAST_ACCUM, fast);
      const void* scale = scale_;
      Set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, scale);
      Set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, scale);
    }
    MUST(cublasLtMatrixLayoutCreate(&a_, type, product.in, product.out, product.in));
    MUST(cublasLtMatrixLayoutCreate(&b_, type, product.in, tokens, product.in));
    MUST(cublasLtMatrixLayoutCreate(&c_, CUDA_R_16BF, product.out, tokens, product.out));
    type_ = type;
  }
  ~Bench() {
    for (void* memory : {weights_, x_, y_, workspace_, static_cast<void*>(scale_)})
      cudaFree(memory);
    cublasLtMatrixLayoutDestroy(a_);
    cublasLtMatrixLayoutDestroy(b_);
    cublasLtMatrixLayoutDestroy(c_);
    cublasLtMatmulDescDestroy(desc_);
  }

  // The library's own guesses, the best first.
  std::vector<cublasLtMatmulAlgo_t> Guesses(int count) {
    cublasLtMatmulPreference_t preference;
    MUST(cublasLtMatmulPreferenceCreate(&preference));
    const uint64_t workspace = kWorkspace;
    const uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    MUST(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                              &workspace, sizeof(workspace)));
    MUST(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &scheme, sizeof(scheme)));
    std::vector<cublasLtMatmulHeuristicResult_t> found(count);
    int number = 0;
    (void)cublasLtMatmulAlgoGetHeuristic(blas_, desc_, a_, b_, c_, c_, preference, count,
                                         found.data(), &number);
    cublasLtMatmulPreferenceDestroy(preference);
    std::vector<cublasLtMatmulAlgo_t> guesses;
    for (int i = 0; i < number; ++i) guesses.push_back(found[i].algo);
    return guesses;
  }

  // Each of `guesses` with every cluster and order of tiles that runs; the other attributes of the
  // library's Hopper kernels cannot be listed.
  std::vector<cublasLtMatmulAlgo_t> Variants(const std::vector<cublasLtMatmulAlgo_t>& guesses) {
    constexpr uint16_t kClusters = 14;
    std::vector<cublasLtMatmulAlgo_t> variants;
    for (const cublasLtMatmulAlgo_t& guess : guesses) {
      for (uint16_t cluster = 0; cluster < kClusters; ++cluster) {
        for (const uint32_t swizzle : {0u, 1u}) {
          cublasLtMatmulAlgo_t one = guess;
          cublasLtMatmulHeuristicResult_t result;
          const bool set = Configure(one, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, cluster) &&
                           Configure(one, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, swizzle);
          if (set && cublasLtMatmulAlgoCheck(blas_, desc_, a_, b_, c_, c_, &one, &result) == 0 &&
              result.workspaceSize <= kWorkspace) {
            variants.push_back(one);
          }
        }
      }
    }
    return variants;
  }

  // Microseconds of one call among calls with other weights, the least of `rounds`; huge where it
  // does not run.
  double Time(const cublasLtMatmulAlgo_t& algo, int rounds) {
    double best = kNever;
    OfAll(algo, [&](cudaGraphExec_t all) {
      Replay(all, 1);
      for (int round = 0; round < rounds; ++round) best = std::min(best, Replay(all, 1));
    });
    return best;
  }
  // The same over kHeldSeconds of nothing else, but for their first half.
  double Hold(const cublasLtMatmulAlgo_t& algo) {
    double held = kNever;
    OfAll(algo, [&](cudaGraphExec_t all) {
      Replay(all, 1);
      const double half = kHeldSeconds / 2 * 1e6 / (Replay(all, 1) * copies_);
      const int times = std::max(1, static_cast<int>(half));
      Replay(all, times);
      held = Replay(all, times);
    });
    return held;
  }

 private:
  // Calls act(a graph of the product with each weight in turn), where the way runs.
  template <typename Act>
  void OfAll(const cublasLtMatmulAlgo_t& algo, const Act& act) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    bool ran = true;
    MUST(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < copies_ && ran; ++i) ran = Run(algo, i);
    MUST(cudaStreamEndCapture(stream_, &graph));
    if (ran && cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess) {
      act(exec);
      cudaGraphExecDestroy(exec);
    }
    cudaGraphDestroy(graph);
    cudaGetLastError();
  }
  // Microseconds of one call.
  double Replay(cudaGraphExec_t all, int times) {
    cudaEvent_t begin, end;
    MUST(cudaEventCreate(&begin));
    MUST(cudaEventCreate(&end));
    MUST(cudaEventRecord(begin, stream_));
    for (int i = 0; i < times; ++i) MUST(cudaGraphLaunch(all, stream_));
    MUST(cudaEventRecord(end, stream_));
    MUST(cudaEventSynchronize(end));
    float ms = 0;
    MUST(cudaEventElapsedTime(&ms, begin, end));
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    return 1e3 * ms / (static_cast<double>(copies_) * times);
  }
  void Fill(void* to, size_t count, const std::vector<uint8_t>& bytes) {
    for (size_t at = 0; at < count; at += bytes.size()) {
      MUST(cudaMemcpy(static_cast<char*>(to) + at, bytes.data(), std::min(bytes.size(), count - at),
                      cudaMemcpyHostToDevice));
    }
  }
  template <typename T>
  void Set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    MUST(cublasLtMatmulDescSetAttribute(desc_, attribute, &value, sizeof(value)));
  }
  template <typename T>
  static bool Configure(cublasLtMatmulAlgo_t& algo, cublasLtMatmulAlgoConfigAttributes_t attribute,
                        const T& value) {
    return cublasLtMatmulAlgoConfigSetAttribute(&algo, attribute, &value, sizeof(value)) == 0;
  }
  bool Run(const cublasLtMatmulAlgo_t& algo, int copy) {
    const float one = 1, zero = 0;
    return cublasLtMatmul(blas_, desc_, &one, static_cast<char*>(weights_) + copy * bytes_, a_, x_,
                          b_, &zero, y_, c_, y_, c_, &algo, workspace_, kWorkspace, stream_) == 0;
  }

  cublasLtHandle_t blas_;
  cudaStream_t stream_;
  cudaDataType_t type_;
  int64_t bytes_ = 0;
  int copies_ = 0;
  void *weights_ = nullptr, *x_ = nullptr, *y_ = nullptr, *workspace_ = nullptr;
  float* scale_ = nullptr;
  cublasLtMatmulDesc_t desc_;
  cublasLtMatrixLayout_t a_, b_, c_;
};

std::string Name(const cublasLtMatmulAlgo_t& algo) {
  std::string name;
  for (const auto attribute :
       {CUBLASLT_ALGO_CONFIG_ID, CUBLASLT_ALGO_CONFIG_TILE_ID, CUBLASLT_ALGO_CONFIG_STAGES_ID,
        CUBLASLT_ALGO_CONFIG_SPLITK_NUM, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING,
        CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID}) {
    uint32_t value = 0;
    size_t written = 0;
    cublasLtMatmulAlgoConfigGetAttribute(&algo, attribute, &value,
                                         attribute == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID ? 2 : 4,
                                         &written);
    name += (name.empty() ? "" : "/") + std::to_string(value);
  }
  return name;
}

using Algos = std::vector<cublasLtMatmulAlgo_t>;

// The fastest of `algos` by one round each.
Algos Finalists(Bench& bench, const Algos& algos) {
  std::vector<std::pair<double, size_t>> times;
  for (size_t i = 0; i < algos.size(); ++i) times.push_back({bench.Time(algos[i], 1), i});
  std::sort(times.begin(), times.end());
  Algos finalists;
  for (size_t i = 0; i < std::min<size_t>(kFinalists, times.size()); ++i) {
    finalists.push_back(algos[times[i].second]);
  }
  return finalists;
}

// The least time of `algos`, and whose it is.
template <typename Measure>
double Least(const Algos& algos, std::string& name, const Measure& measure) {
  double least = kNever;
  for (const cublasLtMatmulAlgo_t& algo : algos) {
    const double time = measure(algo);
    if (time >= least) continue;
    least = time;
    name = Name(algo);
  }
  return least;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: product_search fp8|bf16 TOKENS...\n");
    return 2;
  }
  const bool fp8 = std::strcmp(argv[1], "fp8") == 0;
  cublasLtHandle_t blas;
  cudaStream_t stream;
  MUST(cublasLtCreate(&blas));
  MUST(cudaStreamCreate(&stream));
  std::printf("us; ways: id/tile/stages/split/swizzle/option/cluster; held: over %.1f s\n",
              kHeldSeconds);
  std::printf("%8s %7s %8s %8s %8s (%5s) %8s (%5s)  %-22s %8s %8s  %s\n", "product", "tokens",
              "first", "of 10", "of more", "", "of all", "", "best", "held", "of best", "best");
  for (int arg = 2; arg < argc; ++arg) {
    double sums[6] = {};
    for (const Product& product : kLayer) {
      const int64_t tokens = std::atoll(argv[arg]);
      Bench bench(blas, stream, fp8, product, tokens);
      const Algos more = bench.Guesses(kMost), all = bench.Variants(more);
      const Algos ten(more.begin(), more.begin() + std::min<size_t>(kAsked, more.size()));
      const Algos finalists = Finalists(bench, all);
      std::string name, held_name;
      const auto time = [&](const cublasLtMatmulAlgo_t& algo) { return bench.Time(algo, 8); };
      const auto hold = [&](const cublasLtMatmulAlgo_t& algo) { return bench.Hold(algo); };
      if (!more.empty()) hold(more[0]);  // all are held when the device is warm
      const double times[] = {
          more.empty() ? kNever : time(more[0]),     Least(Finalists(bench, ten), name, time),
          Least(Finalists(bench, more), name, time), Least(finalists, name, time),
          more.empty() ? kNever : hold(more[0]),     Least(finalists, held_name, hold)};
      std::printf("%8s %7ld %8.1f %8.1f %8.1f (%5zu) %8.1f (%5zu)  %-22s %8.1f %8.1f  %s\n",
                  product.name, tokens, times[0], times[1], times[2], more.size(), times[3],
                  all.size(), name.c_str(), times[4], times[5], held_name.c_str());
      std::fflush(stdout);
      for (int i = 0; i < 6; ++i) sums[i] += times[i];
    }
    std::printf("%8s %7s %8.1f %8.1f %8.1f %7s %8.1f %7s  %-22s %8.1f %8.1f\n", "layer", argv[arg],
                sums[0], sums[1], sums[2], "", sums[3], "", "", sums[4], sums[5]);
    std::fflush(stdout);
  }
  return 0;
}
