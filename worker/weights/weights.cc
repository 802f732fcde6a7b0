// Assembles one rank's weights: which slices form which fused matrix. Where tensors are and what
// they are called is tensor_table.h, where bytes come from tensor_source.h.
#include "worker/weights/weights.h"

#include <algorithm>
#include <initializer_list>
#include <new>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/checkpoint/tensor_table.h"
#include "common/status_macros.h"
#include "kernels/thread_pool.h"
#include "worker/weights/dummy_weights.h"
#include "worker/weights/scaled_matrix.h"
#include "worker/weights/tensor_source.h"

namespace regatta {
namespace {

constexpr int kMaxLoadThreads = 8;                   // beyond which memory is the limit
constexpr int64_t kReadGrain = 1 << 20;              // elements per thread at least
constexpr int64_t kUploadBytes = int64_t{16} << 20;  // of one copy of an embedding's rows

int LoadThreads() {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(cores, 1, kMaxLoadThreads);
}

absl::Status OutOfMemory(absl::string_view what, int64_t bytes) {
  return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes of ", what));
}

// Host memory that is written before it is read; grows, never shrinks.
class Scratch {
 public:
  // Null when memory is exhausted. Invalidates what was returned before.
  void* Reserve(int64_t num_bytes) {
    if (num_bytes > size_) {
      bytes_.reset();
      bytes_.reset(new (std::nothrow) std::byte[num_bytes]);
      size_ = bytes_ == nullptr ? 0 : num_bytes;
    }
    return bytes_.get();
  }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  int64_t size_ = 0;
};

// A tensor and the part of it that this rank holds.
struct Part {
  TensorInfo tensor;
  Slice slice;
};

class ShardLoader {
 public:
  ShardLoader(const TensorSource& source, const ModelSpec& spec, const Layout& layout,
              const RankPosition& position, DType dtype, Ops& ops,
              const std::function<void(double)>& progress)
      : source_(source),
        spec_(spec),
        layout_(layout),
        position_(position),
        dtype_(dtype),
        ops_(ops),
        progress_(progress),
        table_(spec),
        pool_(LoadThreads()) {}

  absl::StatusOr<ShardWeights> Load() {
    const std::vector<TensorInfo> needed = table_.NeededBy(layout_, position_);
    RETURN_IF_ERROR(source_.Check(needed));
    for (const TensorInfo& tensor : needed) {
      total_elements_ += table_.SliceFor(tensor, layout_, position_).num_elements();
    }
    ShardWeights weights;
    weights.dtype = dtype_;
    weights.quantized = spec_.quantization.enabled();
    weights.shape = ShapeOf(spec_, layout_, position_);
    if (position_.first_stage) {
      ASSIGN_OR_RETURN(weights.embedding, Upload({PartOf(WeightRole::kEmbedding)}));
    }
    for (int layer = position_.first_layer; layer < position_.end_layer; ++layer) {
      ASSIGN_OR_RETURN(LayerWeights loaded, LoadLayer(layer));
      weights.layers.push_back(std::move(loaded));
    }
    if (position_.last_stage) {
      ASSIGN_OR_RETURN(weights.final_norm, Upload({PartOf(WeightRole::kFinalNorm)}));
      ASSIGN_OR_RETURN(weights.lm_head, Prepare({PartOf(WeightRole::kLmHead)}, WeightUse::kLmHead));
    }
    CHECK_EQ(loaded_elements_, total_elements_) << "NeededBy and Load disagree";
    weights.num_bytes = loaded_bytes_;
    return weights;
  }

 private:
  using Role = WeightRole;

  absl::StatusOr<LayerWeights> LoadLayer(int layer) {
    const auto part = [&](Role role) { return PartOf(role, layer); };
    LayerWeights weights;
    ASSIGN_OR_RETURN(weights.input_norm, Upload({part(Role::kInputNorm)}));
    ASSIGN_OR_RETURN(weights.post_attention_norm, Upload({part(Role::kPostAttentionNorm)}));
    ASSIGN_OR_RETURN(weights.qkv,
                     Prepare({part(Role::kQ), part(Role::kK), part(Role::kV)}, WeightUse::kLinear));
    ASSIGN_OR_RETURN(weights.o, Prepare({part(Role::kO)}, WeightUse::kLinear));
    if (spec_.qkv_bias) {
      ASSIGN_OR_RETURN(weights.qkv_bias,
                       Upload({part(Role::kQBias), part(Role::kKBias), part(Role::kVBias)}));
    }
    if (spec_.qk_norm) {
      ASSIGN_OR_RETURN(weights.q_norm, Upload({part(Role::kQNorm)}));
      ASSIGN_OR_RETURN(weights.k_norm, Upload({part(Role::kKNorm)}));
    }
    ASSIGN_OR_RETURN(weights.k_scale, source_.CacheScale(layer, /*keys=*/true));
    ASSIGN_OR_RETURN(weights.v_scale, source_.CacheScale(layer, /*keys=*/false));
    if (spec_.LayerIsMoe(layer)) {
      RETURN_IF_ERROR(LoadExperts(layer, weights));
    } else {
      ASSIGN_OR_RETURN(weights.mlp, LoadMlp(part(Role::kGate), part(Role::kUp), part(Role::kDown),
                                            WeightUse::kLinear));
    }
    return weights;
  }

  absl::Status LoadExperts(int layer, LayerWeights& weights) {
    const auto part = [&](Role role, int expert) { return PartOf(role, layer, expert); };
    ASSIGN_OR_RETURN(weights.router, Prepare({part(Role::kRouter, 0)}, WeightUse::kLinear));
    const ShardShape shape = ShapeOf(spec_, layout_, position_);
    for (int expert = shape.first_expert; expert < shape.first_expert + shape.num_local_experts;
         ++expert) {
      ASSIGN_OR_RETURN(ExpertWeights loaded,
                       LoadMlp(part(Role::kExpertGate, expert), part(Role::kExpertUp, expert),
                               part(Role::kExpertDown, expert), WeightUse::kExpert));
      weights.experts.push_back(std::move(loaded));
    }
    if (spec_.moe.shared_expert_width > 0) {
      ASSIGN_OR_RETURN(weights.shared, LoadMlp(part(Role::kSharedGate, 0), part(Role::kSharedUp, 0),
                                               part(Role::kSharedDown, 0), WeightUse::kLinear));
    }
    if (spec_.moe.shared_expert_gate) {
      ASSIGN_OR_RETURN(weights.shared_gate,
                       Prepare({part(Role::kSharedExpertGate, 0)}, WeightUse::kLinear));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ExpertWeights> LoadMlp(const Part& gate, const Part& up, const Part& down,
                                        WeightUse use) {
    ExpertWeights weights;
    ASSIGN_OR_RETURN(weights.gate_up, Prepare({gate, up}, use));
    ASSIGN_OR_RETURN(weights.down, Prepare({down}, use));
    return weights;
  }

  Part PartOf(Role role, int layer = 0, int expert = 0) const {
    Part part = {table_.Find(role, layer, expert), {}};
    part.slice = table_.SliceFor(part.tensor, layout_, position_);
    return part;
  }

  // The parts below one another as a matrix of the backend.
  absl::StatusOr<std::unique_ptr<Weight>> Prepare(std::initializer_list<Part> parts,
                                                  WeightUse use) {
    const Part& first = *parts.begin();
    ASSIGN_OR_RETURN(const DType stored, StoredDType(parts));
    const bool online = spec_.quantization.online && IsQuantizable(first.tensor.role);
    Tensor matrix;
    if (parts.size() == 1) matrix = source_.View(first.tensor, first.slice, stored);
    if (!matrix) {
      ASSIGN_OR_RETURN(matrix, Assemble(parts, stored));
    }
    std::unique_ptr<Weight> weight;
    if (stored == DType::kFloat8E4M3) {
      weight = PrepareScaled(parts, matrix, use);
    } else if (online) {
      weight = ops_.PrepareQuantized({.values = matrix}, use);
    } else {
      weight = ops_.Prepare(matrix, use);
    }
    if (weight == nullptr) {
      return OutOfMemory(first.tensor.name, static_cast<int64_t>(matrix.num_bytes()));
    }
    for (const Part& part : parts) Report(part.slice, online ? DType::kFloat8E4M3 : stored);
    return weight;
  }

  // E4M3 when the source has the parts so, which must agree; else the dtype of this rank.
  absl::StatusOr<DType> StoredDType(std::initializer_list<Part> parts) const {
    const Part& first = *parts.begin();
    const bool quantized = source_.IsQuantized(first.tensor);
    for (const Part& part : parts) {
      if (source_.IsQuantized(part.tensor) == quantized) continue;
      return absl::UnimplementedError(
          absl::StrCat("of ", first.tensor.name, " and ", part.tensor.name,
                       ", which form one matrix, only one is quantised"));
    }
    return quantized ? DType::kFloat8E4M3 : dtype_;
  }

  // Of E4M3 numbers, which are in scratch when they have more than one part.
  std::unique_ptr<Weight> PrepareScaled(std::initializer_list<Part> parts, const Tensor& numbers,
                                        WeightUse use) {
    std::vector<ScaledPart> scaled;
    for (const Part& part : parts) {
      scaled.push_back({part.tensor, part.slice, source_.Scales(part.tensor)});
    }
    const MatrixScales scales = FuseScales(scaled, spec_.quantization.scheme, numbers, pool_);
    return ops_.PrepareQuantized({numbers, scales.view, scales.input}, use);
  }

  // The parts below one another in scratch memory: the backend's when a formula makes them there,
  // else the host's. Valid until the next call.
  absl::StatusOr<Tensor> Assemble(std::initializer_list<Part> parts, DType dtype) {
    const Part& first = *parts.begin();
    const bool computed = IsComputed(first);
    const int64_t rows = RowsOf(parts);
    const int64_t bytes = rows * first.slice.columns * static_cast<int64_t>(SizeOf(dtype));
    void* memory = computed ? ReserveOnDevice(bytes) : scratch_.Reserve(bytes);
    if (memory == nullptr) return OutOfMemory(first.tensor.name, bytes);
    const Tensor matrix = Tensor::Of(memory, dtype, rows, first.slice.columns);
    int64_t row = 0;
    for (const Part& part : parts) {
      const Tensor out = matrix.Rows(row, part.slice.rows);
      if (computed) {
        Compute(part, out);
      } else {
        Read(part.tensor, part.slice, out);
      }
      row += part.slice.rows;
    }
    return matrix;
  }

  bool IsComputed(const Part& part) const {
    return !source_.Formulas(part.tensor, part.slice).empty();
  }

  // `out` is memory of the backend.
  void Compute(const Part& part, const Tensor& out) {
    for (const FormulaRows& rows : source_.Formulas(part.tensor, part.slice)) {
      ops_.FillDummy(out.Rows(rows.first_row, rows.rows), rows.values);
    }
  }

  // Like Scratch::Reserve.
  void* ReserveOnDevice(int64_t bytes) {
    if (bytes > static_cast<int64_t>(device_scratch_.num_bytes())) {
      device_scratch_ = Buffer();  // before the larger one is taken
      device_scratch_ = ops_.Allocate(bytes);
    }
    return device_scratch_.data();
  }

  static int64_t RowsOf(std::initializer_list<Part> parts) {
    int64_t rows = 0;
    for (const Part& part : parts) rows += part.slice.rows;
    return rows;
  }

  // The parts behind one another in device memory.
  absl::StatusOr<DeviceTensor> Upload(std::initializer_list<Part> parts) {
    const Part& first = *parts.begin();
    const int64_t columns = first.slice.columns;
    const int64_t rows = RowsOf(parts);
    const int64_t bytes = rows * columns * static_cast<int64_t>(SizeOf(dtype_));
    DeviceTensor result;
    result.buffer = ops_.Allocate(bytes);
    if (result.buffer.data() == nullptr) return OutOfMemory(first.tensor.name, bytes);
    const Tensor matrix = Tensor::Of(result.buffer.data(), dtype_, rows, columns);
    int64_t row = 0;
    for (const Part& part : parts) {
      const Tensor out = matrix.Rows(row, part.slice.rows);
      if (IsComputed(part)) {
        Compute(part, out);
      } else {
        RETURN_IF_ERROR(Copy(part, out));
      }
      row += part.slice.rows;
      Report(part.slice, dtype_);
    }
    result.tensor =
        first.tensor.is_vector ? Tensor::Of(result.buffer.data(), dtype_, rows) : matrix;
    return result;
  }

  // To device memory `out`, which is dense, in bounded pieces.
  absl::Status Copy(const Part& part, const Tensor& out) {
    const int64_t row_bytes = part.slice.columns * static_cast<int64_t>(SizeOf(dtype_));
    const int64_t piece = std::max<int64_t>(kUploadBytes / row_bytes, 1);
    void* scratch = scratch_.Reserve(std::min(piece, part.slice.rows) * row_bytes);
    if (scratch == nullptr) return OutOfMemory(part.tensor.name, piece * row_bytes);
    for (int64_t row = 0; row < part.slice.rows; row += piece) {
      Slice slice = part.slice;
      slice.first_row += row;
      slice.rows = std::min(piece, part.slice.rows - row);
      Read(part.tensor, slice, Tensor::Of(scratch, dtype_, slice.rows, slice.columns));
      ops_.CopyToDevice(out.Rows(row, slice.rows).data, scratch, slice.rows * row_bytes);
    }
    return absl::OkStatus();
  }

  void Read(const TensorInfo& tensor, const Slice& slice, const Tensor& out) {
    const int64_t grain = std::max<int64_t>(kReadGrain / slice.columns, 1);
    pool_.ParallelFor(slice.rows, grain, [&](int64_t begin, int64_t end, int) {
      Slice rows = slice;
      rows.first_row += begin;
      rows.rows = end - begin;
      source_.Read(tensor, rows, out.Rows(begin, end - begin));
    });
  }

  void Report(const Slice& slice, DType dtype) {
    loaded_elements_ += slice.num_elements();
    loaded_bytes_ += slice.num_elements() * SizeOf(dtype);
    if (progress_) progress_(static_cast<double>(loaded_elements_) / total_elements_);
  }

  const TensorSource& source_;
  const ModelSpec& spec_;
  const Layout& layout_;
  const RankPosition& position_;
  const DType dtype_;
  Ops& ops_;
  const std::function<void(double)>& progress_;
  const TensorTable table_;
  ThreadPool pool_;
  Scratch scratch_;
  Buffer device_scratch_;
  int64_t total_elements_ = 0;
  int64_t loaded_elements_ = 0;
  uint64_t loaded_bytes_ = 0;
};

absl::StatusOr<std::unique_ptr<TensorSource>> OpenSource(const ModelSource& source,
                                                         const ModelSpec& spec) {
  if (source.dummy_weights()) {
    return MakeDummySource({source.dummy_seed(), source.dummy_router_skew(),
                            spec.moe.experts_per_token, spec.quantization});
  }
  return OpenCheckpointSource(source.path(), spec);
}

}  // namespace

ShardShape ShapeOf(const ModelSpec& spec, const Layout& layout, const RankPosition& position) {
  const int tp = std::max<int>(layout.attention_tp(), 1);
  const int expert_tp = std::max<int>(layout.expert_tp(), 1);
  const int ep = std::max<int>(layout.expert_ep(), 1);
  ShardShape shape;
  shape.num_heads = spec.num_heads / tp;
  shape.num_kv_heads = std::max(spec.num_kv_heads / tp, 1);
  shape.ffn_width = spec.ffn_width / tp;
  shape.expert_width = spec.moe.expert_width / expert_tp;
  shape.shared_width = spec.moe.shared_expert_width / tp;
  shape.num_local_experts = spec.moe.num_experts / ep;
  shape.first_expert = static_cast<int>(position.ep_rank) * shape.num_local_experts;
  shape.vocab_rows = spec.vocab_size / tp;
  shape.first_vocab_row = position.tp_rank * shape.vocab_rows;
  return shape;
}

absl::StatusOr<ShardWeights> LoadWeights(const ModelSource& source, const ModelSpec& checkpoint,
                                         const Layout& layout, const RankPosition& position,
                                         Ops& ops, const std::function<void(double)>& progress) {
  ModelSpec spec = checkpoint;
  ASSIGN_OR_RETURN(
      spec.quantization,
      ResolveQuantization(source.quantization(), source.dummy_weights(), checkpoint.quantization));
  RETURN_IF_ERROR(CheckLayout(spec, layout));
  ASSIGN_OR_RETURN(const DType dtype, ResolveDType(source.dtype(), spec, ops.Name()));
  ASSIGN_OR_RETURN(const std::unique_ptr<TensorSource> tensors, OpenSource(source, spec));
  ASSIGN_OR_RETURN(ShardWeights weights,
                   ShardLoader(*tensors, spec, layout, position, dtype, ops, progress).Load());
  std::string fault;
  if (!ops.Sync(&fault)) {
    return absl::InternalError(absl::StrCat("device fault while loading: ", fault));
  }
  return weights;
}

absl::StatusOr<DType> ResolveDType(const std::string& dtype, const ModelSpec& spec,
                                   const std::string& device_kind) {
  const bool is_auto = dtype.empty() || dtype == "auto";
  if (is_auto && device_kind == "cpu") return DType::kFloat32;
  const std::string& name = is_auto ? spec.torch_dtype : dtype;
  for (DType known : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    if (name == DTypeName(known)) return known;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dtype ", name, " is not known; auto, float32, bfloat16 and float16 are"));
}

}  // namespace regatta
