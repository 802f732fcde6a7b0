// Expert MLPs: choices are grouped by expert on the device, each projection of all experts is one
// launch over tiles of rows, and each token adds its experts' outputs in order of its choices. The
// host never learns how many rows an expert has; grids cover the worst case.
#include <algorithm>

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/grouped_product.h"

namespace regatta {
namespace {

constexpr int kGroupThreads = 1024;
constexpr int kRowPadding = 8;  // elements: rows of 16 bytes' multiples in every dtype

struct Grouping {
  Tensor ids;
  int first_expert, num_local;
  int32_t* start;
  int32_t* token;
  int32_t* row_of_pair;
  int32_t* tiles;
  int num_tiles;
};

// One block: counts the choices of each local expert, gives every choice a row and lists the tiles.
// The order of rows within an expert is free: no result depends on it.
__global__ void GroupKernel(Grouping group) {
  __shared__ int count[kMaxLocalExperts];
  __shared__ int cursor[kMaxLocalExperts];
  __shared__ int used_tiles;
  const int per_token = static_cast<int>(group.ids.shape[1]);
  const int64_t num_pairs = group.ids.shape[0] * per_token;
  const auto local_of = [&](int64_t pair) {
    const int64_t place = pair / per_token * group.ids.row_stride + pair % per_token;
    const int local = static_cast<const int32_t*>(group.ids.data)[place] - group.first_expert;
    return local >= 0 && local < group.num_local ? local : -1;
  };
  for (int e = threadIdx.x; e < group.num_local; e += blockDim.x) count[e] = 0;
  __syncthreads();
  for (int64_t pair = threadIdx.x; pair < num_pairs; pair += blockDim.x) {
    const int local = local_of(pair);
    if (local >= 0) atomicAdd(&count[local], 1);
  }
  __syncthreads();
  for (int e = threadIdx.x; e <= group.num_local; e += blockDim.x) {
    int row = 0, tile = 0;
    for (int before = 0; before < e; ++before) {
      row += count[before];
      tile += (count[before] + kProductTile - 1) / kProductTile;
    }
    group.start[e] = row;
    if (e == group.num_local) {
      used_tiles = tile;
      break;
    }
    cursor[e] = row;
    for (int first = 0; first < count[e]; first += kProductTile, ++tile) {
      group.tiles[2 * tile] = e;
      group.tiles[2 * tile + 1] = row + first;
    }
  }
  __syncthreads();
  for (int tile = used_tiles + threadIdx.x; tile < group.num_tiles; tile += blockDim.x) {
    group.tiles[2 * tile] = -1;
  }
  for (int64_t pair = threadIdx.x; pair < num_pairs; pair += blockDim.x) {
    const int local = local_of(pair);
    const int row = local >= 0 ? atomicAdd(&cursor[local], 1) : -1;
    group.row_of_pair[pair] = row;
    if (row >= 0) group.token[row] = static_cast<int32_t>(pair / per_token);
  }
}

// out[t] = sum of weight * output over the token's local choices; 0 without any.
__global__ void CombineKernel(const float* outputs, const int32_t* row_of_pair, Tensor weights,
                              Tensor out) {
  const int64_t token = blockIdx.x;
  const int64_t hidden = out.shape[1];
  const int per_token = static_cast<int>(weights.shape[1]);
  const float* weight = static_cast<const float*>(weights.data) + token * weights.row_stride;
  for (int64_t c = threadIdx.x; c < hidden; c += blockDim.x) {
    float sum = 0;
    for (int i = 0; i < per_token; ++i) {
      const int32_t row = row_of_pair[token * per_token + i];
      if (row >= 0) sum += weight[i] * outputs[row * hidden + c];
    }
    StoreElement(out.data, out.dtype, token * out.row_stride + c, sum);
  }
}

// One projection of all local experts.
GroupedProduct ProductOf(const MoeWeights& weights, const Weight* MlpWeights::*projection) {
  GroupedProduct product;
  for (size_t e = 0; e < weights.experts.size(); ++e) {
    const auto* weight = static_cast<const CudaWeight*>(weights.experts[e].*projection);
    product.weights.at[e] = weight->matrix.data;
    product.weight_stride = weight->matrix.row_stride;
    product.scales = weight->scales;
  }
  return product;
}

}  // namespace

void CudaOps::ReserveExperts(int max_tokens, const MoeParams& moe, int expert_width, int hidden) {
  CHECK_LE(moe.num_local, kMaxLocalExperts);
  ExpertScratch& scratch = experts_;
  const int64_t all_pairs = int64_t{max_tokens} * moe.experts_per_token;
  const int64_t pairs = int64_t{max_tokens} * std::min(moe.experts_per_token, moe.num_local);
  const int64_t tiles = CeilDiv(pairs, kProductTile) + moe.num_local;
  scratch.max_tokens = max_tokens;
  scratch.max_pairs = static_cast<int>(all_pairs);
  scratch.max_local = moe.num_local;
  scratch.width = expert_width;
  scratch.hidden = hidden;
  const auto reserve = [&](Buffer& buffer, int64_t num_bytes) {
    if (buffer.num_bytes() >= static_cast<size_t>(num_bytes)) return;
    buffer = Allocate(num_bytes);
    CHECK(buffer.data() != nullptr) << num_bytes << " bytes for experts";
  };
  reserve(scratch.start, (moe.num_local + 1) * sizeof(int32_t));
  reserve(scratch.token, pairs * sizeof(int32_t));
  reserve(scratch.row_of_pair, all_pairs * sizeof(int32_t));
  reserve(scratch.tiles, 2 * tiles * sizeof(int32_t));
  reserve(scratch.activated, pairs * (expert_width + kRowPadding) * sizeof(float));
  reserve(scratch.down, pairs * hidden * sizeof(float));
}

void CudaOps::MoeExperts(const Tensor& x, const Tensor& expert_ids, const Tensor& expert_weights,
                         const MoeParams& params, const MoeWeights& weights, const Tensor& out) {
  const int64_t tokens = x.dim(0), hidden = x.dim(1);
  CHECK_EQ(static_cast<int>(weights.experts.size()), params.num_local);
  CHECK_GT(params.num_local, 0);
  CHECK_EQ(out.dim(0), tokens);
  CHECK_EQ(out.dim(1), hidden);
  const int64_t width = weights.experts[0].down->in_features;
  const int per_token = params.experts_per_token;
  const int64_t pairs = tokens * std::min(per_token, params.num_local);
  ExpertScratch& scratch = experts_;
  CHECK_LE(tokens, scratch.max_tokens) << "beyond Reserve";
  CHECK_LE(tokens * per_token, scratch.max_pairs) << "beyond Reserve";
  CHECK_LE(params.num_local, scratch.max_local) << "beyond Reserve";
  CHECK(width <= scratch.width && hidden <= scratch.hidden) << "beyond Reserve";
  if (tokens == 0) return;
  // An expert's last tile is partial: at most one per expert, and no more than there are rows.
  const int64_t partial = std::min<int64_t>(params.num_local, pairs);
  const int num_tiles = static_cast<int>(pairs / kProductTile + partial);
  const Grouping grouping{expert_ids,
                          params.first_expert,
                          params.num_local,
                          static_cast<int32_t*>(scratch.start.data()),
                          static_cast<int32_t*>(scratch.token.data()),
                          static_cast<int32_t*>(scratch.row_of_pair.data()),
                          static_cast<int32_t*>(scratch.tiles.data()),
                          num_tiles};
  GroupKernel<<<1, kGroupThreads, 0, stream_>>>(grouping);

  const auto launch = [&](const Weight* MlpWeights::*projection, const Tensor& from,
                          const int32_t* x_row, bool gated, const Tensor& to) {
    GroupedProduct product = ProductOf(weights, projection);
    product.gated = gated;
    product.x = from;
    product.out = to;
    product.tiles = grouping.tiles;
    product.start = grouping.start;
    product.x_row = x_row;
    product.num_tiles = num_tiles;
    LaunchGroupedProduct(product, stream_);
  };
  Tensor activated = Tensor::Of(scratch.activated.data(), x.dtype, pairs, width);
  activated.row_stride = (width + kRowPadding - 1) / kRowPadding * kRowPadding;
  const Tensor down = Tensor::Of(scratch.down.data(), DType::kFloat32, pairs, hidden);
  launch(&MlpWeights::gate_up, x, grouping.token, /*gated=*/true, activated);
  launch(&MlpWeights::down, activated, nullptr, /*gated=*/false, down);
  CombineKernel<<<static_cast<unsigned>(tokens), 256, 0, stream_>>>(
      down.as<float>(), grouping.row_of_pair, expert_weights, out);
  Launched("MoeExperts");
}

}  // namespace regatta
