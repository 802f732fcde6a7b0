// Ops: everything a model may ask of hardware. One object per rank, bound to one stream, chosen
// once at start.
//
// Shape letters: T tokens of a step, S sequences, D hidden, H query heads, G KV heads, K head dim,
// F MLP width, E experts, V vocabulary, B block size, N rows to sample. All sizes are this rank's
// shard. Calls are ordered but may be asynchronous: a device fault surfaces at Sync(). Wrong shapes
// are our bug (CHECK). Outputs never alias inputs except where said "in place". Activations are
// float32, bfloat16 or float16, one dtype per model, or E4M3 where a quantised weight takes them
// (kernels/activation.h); sums and transcendental functions are taken in
// float32 or better.
//
// Coarse operations have default bodies that compose the fine ones; a backend overrides what it
// fuses, and the composed body is the override's oracle in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/activation.h"
#include "kernels/host_device.h"
#include "kernels/tensor.h"

namespace regatta {

struct DummyValues;  // kernels/dummy_values.h

// A weight matrix as a backend wants it: packed, converted or quantised by Ops::Prepare. Opaque
// outside its backend.
class Weight {
 public:
  virtual ~Weight() = default;
  int64_t out_features = 0;
  int64_t in_features = 0;
  // The form in which Linear takes its input; the producer quantises. Experts take it plain.
  ActivationFormat input = ActivationFormat::kPlain;
  Tensor input_scale;  // kStatic: float32 [1] on the device
};

// What a weight is for, which decides its packing.
enum class WeightUse { kLinear, kLmHead, kExpert };

// Sums over the ranks that share an activation; implemented by the worker's communicators. Sums run
// in rank order on every rank, so all ranks hold equal bits.
class Reducer {
 public:
  virtual ~Reducer() = default;
  virtual int size() const = 0;
  // In place. `x` is dense.
  virtual void AllReduceSum(const Tensor& x) = 0;
};

// The paged context of one step. All arrays live in device memory and are indexed by sequence or
// token of the step.
struct AttentionBatch {
  int num_tokens = 0;        // T
  int num_sequences = 0;     // S
  int max_query_length = 0;  // host knowledge, for launch shapes
  int max_context_length = 0;
  const int32_t* positions = nullptr;  // [T]
  const int32_t* query_start =
      nullptr;  // [S + 1]; tokens of sequence s are [query_start[s], query_start[s + 1])
  const int32_t* context_length =
      nullptr;                           // [S]; positions held after this step's tokens are written
  const int32_t* block_table = nullptr;  // the blocks of sequence s begin at block_start[s]
  const int32_t* block_start = nullptr;  // [S]
  // Sequences with more than one token, so that a launch for them need not look at all the others;
  // null = any may be.
  const int32_t* prompts = nullptr;
  int num_prompts = 0;
  const int64_t* kv_slot = nullptr;  // [T]; block * B + offset where a token's key and value go
};

// One layer's paged cache: k, v are [num_blocks, B, G, K]. What is held stands for that times the
// scale: 1 unless the cache is E4M3.
struct KvLayer {
  Tensor k;
  Tensor v;
  float k_scale = 1;
  float v_scale = 1;
};

// Attention of one layer, constant over steps.
struct AttentionParams {
  int num_heads = 0;       // H
  int num_kv_heads = 0;    // G
  int head_dim = 0;        // K
  float scale = 0;         // 1 / sqrt(K) unless the model says otherwise
  int sliding_window = 0;  // 0 = full; else a query at p sees keys in (p - window, p]
  Tensor q_norm, k_norm;   // [K] or empty: RMSNorm per head before rope (Qwen3)
  float norm_eps = 0;
  Tensor rope;  // float32 [max_position, K]: cos of K/2 frequencies, then sin; made on the host
};

struct MoeParams {
  int num_experts = 0;  // E, of the whole model
  int experts_per_token = 0;
  bool sigmoid = false;  // scores are sigmoid(logit), else softmax over all experts
  bool normalize_topk = true;
  float routed_scaling = 1;
  int first_expert = 0;  // experts [first_expert, first_expert + num_local) live on this rank
  int num_local = 0;
};

// Weights of one gated MLP: gate_up is [2F, D] (gate rows first), down is [D, F].
struct MlpWeights {
  const Weight* gate_up = nullptr;
  const Weight* down = nullptr;
};

struct MoeWeights {
  const Weight* router = nullptr;       // [E, D]
  std::vector<MlpWeights> experts;      // num_local
  MlpWeights shared;                    // empty pointers = no shared experts
  const Weight* shared_gate = nullptr;  // [1, D] or null
};

// How one row's next token is drawn; mirrors SamplingParams of proto/types.proto without depending
// on it: zeros are "off" there and here. Order: bias, penalties, suppressed ids and mask, then
// greedy, or temperature, min-p, top-k, top-p and one draw. Equal logits rank by lower id; NaN
// logits are never drawn; a row without a finite logit gives id 0, or the lowest id of its mask.
struct SampleRow {
  float temperature = 0;  // 0 = greedy
  int top_k = 0;          // 0 = all
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  uint64_t seed = 0;
  uint32_t output_index = 0;  // the draw is a function of (seed, output_index) alone
  int penalty_row = -1;       // row of the pool's counts, or -1
  int bias_row = -1;          // row of the pool's biases, or -1
  int num_bias = 0;           // ids in that row, each once
  int mask_row = -1;          // row of the pool's masks, or -1: then any id may be drawn
  int num_logprobs = -1;      // -1 = none, 0 = sampled token only, n = and the n most likely
  bool random_next = false;   // the draw is made, then replaced by a uniform one of all ids, of
                              // (seed, output_index) too: dummy models repeat themselves
                              // otherwise. A masked draw stays as it is
  const uint32_t* suppressed = nullptr;  // ids that may not be drawn now (min_tokens)
  int num_suppressed = 0;
};

inline constexpr int kMaxBias = 1024;            // ids of one row with biases
inline constexpr uint32_t kMaxTopLogprobs = 20;  // most likely tokens listed of one row
REGATTA_HOST_DEVICE inline constexpr int MaskWords(int64_t vocab) {
  return static_cast<int>((vocab + 31) / 32);
}

// What draws need beside their logits, a row for each sequence that needs any of it.
struct SamplePool {
  // Of sequences with penalties, counts per token: prompt membership and output, int32 [rows, V].
  Tensor prompt_counts = {};
  Tensor output_counts = {};
  // Added to the logits of a few ids: int32 and float32 [rows, kMaxBias]; `hidden` is working
  // memory of the same size.
  Tensor bias_ids = {};
  Tensor bias = {};
  Tensor bias_hidden = {};
  // Which ids may be drawn: id i where bit i % 32 of word i / 32 is set. int32 [rows, MaskWords].
  Tensor masks = {};
};

struct SampleResult {
  std::vector<uint32_t> tokens;  // [N]
  std::vector<float>
      logprobs;  // [N]; of the raw distribution (before temperature), 0 when not asked
  std::vector<std::vector<std::pair<uint32_t, float>>> top_logprobs;  // [N], most likely first
};

// Log-probabilities of tokens that were given, not drawn.
struct GivenLogprobs {
  std::vector<float> given;         // [N]
  std::vector<uint32_t> top_ids;    // [N, K]: the most likely ones in their places, likeliest first
  std::vector<float> top_logprobs;  // [N, K]
};

// What one Sample gives the host, once the stream has come that far. Made by Ops::MakeDraws; one
// per step in flight.
class Draws {
 public:
  virtual ~Draws() = default;
  // Valid after a Marker that was set behind the Sample has passed.
  virtual void Read(SampleResult& result) const = 0;
};

// A place in the stream that any thread may wait for by asking again and again.
class Marker {
 public:
  virtual ~Marker() = default;
  // True once everything issued before the newest Mark is done, or the device has failed: then
  // `*error` says how.
  virtual bool Passed(std::string* error) = 0;
};

// Recorded operations, with their addresses and sizes. May be destroyed while a replay is running;
// must not outlive its Ops.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void Replay() = 0;
};

class Ops {
 public:
  virtual ~Ops() = default;

  // --- Memory and streams
  // -----------------------------------------------------------------------------------------------------
  virtual std::string Name() const = 0;
  // Lets the calling thread free what this backend allocated.
  virtual void BindThread() {}
  // Device memory, zeroed, aligned to 256 bytes. CHECK-fails on zero bytes; an empty Buffer when
  // memory is exhausted.
  virtual Buffer Allocate(size_t num_bytes) = 0;
  // Host memory that copies to and from the device without detours; zeroed. Empty as above.
  virtual Buffer AllocateHost(size_t num_bytes) = 0;
  // `host` must stay as it is until the stream has come that far when it is of AllocateHost; other
  // memory has been read on return.
  virtual void CopyToDevice(void* device, const void* host, size_t num_bytes) = 0;
  virtual void CopyToHost(void* host, const void* device, size_t num_bytes) = 0;
  // Waits for everything issued. False after a device fault, with `*error` saying what.
  [[nodiscard]] virtual bool Sync(std::string* error) = 0;
  // The same of what is known now, without waiting.
  [[nodiscard]] virtual bool Healthy(std::string* error) = 0;
  virtual std::unique_ptr<Marker> MakeMarker() = 0;
  virtual void Mark(Marker& marker) = 0;
  // Records what `record` issues, which is not run; it may neither wait nor allocate. Null where
  // the backend records nothing or has no memory left: then run it each time.
  virtual std::unique_ptr<Graph> Capture(const std::function<void()>& record) { return nullptr; }
  virtual bool HasGraphs() const { return false; }
  // Bytes of device memory that are free; 0 where it is the host's.
  virtual uint64_t FreeDeviceMemory() { return 0; }

  // While on, a token's results are the same bits whatever shares its step and however its prompt
  // is cut, in every run on such a device: what is faster for one batch than for another is done
  // without. To be set before anything is computed. CPU operations are so anyway.
  virtual void SetDeterministic(bool on) {}

  // --- Choices by measurement
  // Numbers of tokens that must be met while tuning for everything up to `most` tokens to be
  // chosen; empty where nothing is.
  virtual std::vector<int> TuningSizes(int most) const { return {}; }
  // While on, how an operation runs best is measured the first time it is met, with the operands
  // given, which changes what it works on in place; off at start. Ranks of a group must choose
  // alike: one measures, the others import.
  virtual void SetTuning(bool on) {}
  // What was measured, and taking it over; false when it is of another device, library or format.
  virtual std::string ExportTuning() const { return ""; }
  virtual bool ImportTuning(const std::string& bytes) { return false; }

  // --- Weights
  // ----------------------------------------------------------------------------------------------------------------
  // Takes a matrix [out, in] (row_stride may exceed in) of host memory, or of this backend's own,
  // and returns it in this backend's form; null when memory is exhausted. Host memory may be
  // unmapped after.
  virtual std::unique_ptr<Weight> Prepare(const Tensor& matrix, WeightUse use) = 0;
  // The same in E4M3; scales are host memory. Its `input` is that of the matrix; of an expert
  // plain.
  virtual std::unique_ptr<Weight> PrepareQuantized(const QuantizedMatrix& matrix,
                                                   WeightUse use) = 0;
  // Writes dummy weights to `out` in memory of this backend: a vector, or a matrix of any row
  // stride, of an activation dtype or E4M3. The same bits on every backend.
  virtual void FillDummy(const Tensor& out, const DummyValues& values) = 0;

  // --- Fine operations
  // --------------------------------------------------------------------------------------------------------
  // out[t] = table[ids[t] - first_row], or 0 when the id is outside [first_row, first_row + table
  // rows). An id below 0 stands for drawn[-1 - id]. ids [T] int32, drawn as Sample leaves it (may
  // be null when no id is below 0), out [T, D].
  virtual void Embedding(const int32_t* ids, const int32_t* drawn, const Tensor& table,
                         int64_t first_row, const Tensor& out) = 0;
  // out = x / sqrt(mean(x^2) + eps) * weight, per row. x, out [T, D]; weight [D]. (Zhang & Sennrich
  // 2019)
  virtual void RmsNorm(const Tensor& x, const Tensor& weight, float eps, const Activation& out) = 0;
  // residual += x in place, then out = RmsNorm(residual). All [T, D].
  virtual void AddRmsNorm(const Tensor& residual, const Tensor& x, const Tensor& weight, float eps,
                          const Activation& out) = 0;
  // `out`, of any quantised form, from plain x. Both [T, K].
  virtual void Quantize(const Tensor& x, const Activation& out) = 0;
  // out = x W^T + bias. x [T, in] in the form that the weight takes, out [T, out]; bias [out] or
  // empty. x and out may be column slices.
  virtual void Linear(const Activation& x, const Weight& weight, const Tensor& bias,
                      const Tensor& out) = 0;
  // q and k norms (when present), rotary embedding of q and k in place, then k and v into the cache
  // at kv_slot. q [T, H*K], k and v [T, G*K]; may be column slices of one matrix.
  virtual void RopeAndCache(const Tensor& q, const Tensor& k, const Tensor& v,
                            const AttentionBatch& batch, const AttentionParams& params,
                            const KvLayer& cache) = 0;
  // Causal attention of q over the cache: softmax(q k^T * scale) v with grouped heads (Ainslie et
  // al. 2023). q, out [T, H*K]; out is plain or static.
  virtual void PagedAttention(const Tensor& q, const AttentionBatch& batch,
                              const AttentionParams& params, const KvLayer& cache,
                              const Activation& out) = 0;
  // out = silu(gate_up[:, :F]) * gate_up[:, F:]. gate_up [T, 2F], out [T, F].
  virtual void SiluMul(const Tensor& gate_up, const Activation& out) = 0;
  // Top-k experts per token from router logits [T, E] (float32): ids int32 [T, k], weights float32
  // [T, k], ties to the lower id.
  virtual void MoeRoute(const Tensor& logits, const MoeParams& params, const Tensor& expert_ids,
                        const Tensor& expert_weights) = 0;
  // out = sum over chosen local experts of weight * MLP(x); tokens without a local expert give 0.
  // x, out [T, D]. Shared experts are the caller's: GatedProduct, Linear and AddScaled.
  virtual void MoeExperts(const Tensor& x, const Tensor& expert_ids, const Tensor& expert_weights,
                          const MoeParams& params, const MoeWeights& weights,
                          const Tensor& out) = 0;
  // y += x, dense, in place on y. With `gate` ([T, 1], float32) y += sigmoid(gate) * x.
  virtual void AddScaled(const Tensor& y, const Tensor& x, const Tensor& gate) = 0;
  // out[i] = x[rows[i]]. rows [N] int32, out [N, D].
  virtual void GatherRows(const Tensor& x, const int32_t* rows, const Tensor& out) = 0;
  // Matrices beside one another that lie below one another: out[n, p * W + i] = x[p * N + n, i].
  // x [P * N, W], out [N, P * W], both dense.
  virtual void JoinColumns(const Tensor& x, const Tensor& out) = 0;
  // drawn[slots[i]] = ids[i], i < n; all int32. With a slot twice, either id may stay.
  virtual void PlaceTokens(const int32_t* ids, const int32_t* slots, int n, int32_t* drawn) = 0;
  // Holds up to `max_rows` draws of a step.
  virtual std::unique_ptr<Draws> MakeDraws(int max_rows) = 0;
  // Draws one token per row of float32 logits [N, V] (whole vocabulary). `rows` is host memory,
  // read before the return; penalties read and update `pool` (the drawn token is counted). Row i's
  // token goes to drawn[slots[i]] in device memory, for later steps, and to `draws`, for the host.
  virtual void Sample(const Tensor& logits, const std::vector<SampleRow>& rows,
                      const SamplePool& pool, const int32_t* slots, int32_t* drawn,
                      Draws& draws) = 0;
  // Natural-log softmax of each float32 row at the given id, log p(ids[i] | logits[i]), and at the
  // min(num_top, V) most likely ones; num_top is at most kMaxTopLogprobs. Waits.
  virtual void TokenLogprobs(const Tensor& logits, const int32_t* ids, int num_top,
                             GivenLogprobs& result) = 0;

  // --- Coarse operations: default bodies in ops.cc ---

  // RopeAndCache, then PagedAttention. What q and k hold afterwards is not said. What wrote earlier
  // positions of the cache has ended before the operation in front of this one begins.
  virtual void Attention(const Tensor& q, const Tensor& k, const Tensor& v,
                         const AttentionBatch& batch, const AttentionParams& params,
                         const KvLayer& cache, const Activation& out);
  // residual += x W^T summed over `reducer`; out = RmsNorm(residual). x [T, in]; residual, out
  // [T, D]; so is `delta`, memory to work in.
  virtual void LinearReduceAddNorm(const Activation& x, const Weight& weight, Reducer& reducer,
                                   const Tensor& residual, const Tensor& delta,
                                   const Tensor& norm_weight, float eps, const Activation& out);
  // out = silu(first half of x W^T) * second half. x [T, in] in the form that the weight, [2F, in],
  // takes; out [T, F]; gate_up [T, 2F], memory to work in.
  virtual void GatedProduct(const Activation& x, const Weight& weight, const Tensor& gate_up,
                            const Activation& out);

  // --- Scratch sizes
  // ------------------------------------------------------------------------------------------------------------
  // Backends allocate their workspaces here, once, for the largest step; nothing is allocated
  // later. `moe` is empty and `expert_width` 0 for dense models. Attention, MoE, Sample, and Linear
  // on narrow activations need it; head_dim is at most 256.
  virtual void Reserve(int max_tokens, int max_rows, const MoeParams& moe, int expert_width,
                       int hidden, int vocab) = 0;
};

// CPU operations on `num_threads` threads of one pool (it never spins), for the widest vectors of
// this CPU. Deterministic: a row's bits do not depend on the rest of the batch, on prompt chunks or
// on the number of threads.
std::unique_ptr<Ops> MakeCpuOps(int num_threads);

}  // namespace regatta
