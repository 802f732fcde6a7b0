// Names, shapes and dtypes against the tables of the families; see checkpoint_check.h.
#include "common/checkpoint/checkpoint_check.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/layout.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr size_t kNamedTensors = 5;

bool IsPlainFloat(const StoredType& type) {
  const absl::string_view name = type.name;
  return name == "F32" || name == "BF16" || name == "F16";
}

bool IsE4M3(const StoredType& type) { return absl::string_view(type.name) == "F8_E4M3"; }

int64_t Blocks(int64_t n) { return (n + kScaleBlock - 1) / kScaleBlock; }

int64_t NumElements(const StoredTensor& stored) {
  return static_cast<int64_t>(stored.num_bytes * 8 / stored.type->bits);
}

absl::StatusOr<ScaleTensor> FindScale(const Checkpoint& checkpoint, const TensorInfo& tensor,
                                      std::string name) {
  const StoredTensor* stored = checkpoint.Find(name);
  if (stored == nullptr) {
    return absl::NotFoundError(
        absl::StrCat(checkpoint.directory(), " lacks ", name, ", a scale of ", tensor.name));
  }
  RETURN_IF_ERROR(CheckScaleDType(*stored, name));
  return ScaleTensor{std::move(name), stored};
}

absl::Status CheckStored(const Checkpoint& checkpoint, const TensorInfo& tensor,
                         const StoredTensor& stored, const QuantizationSpec& quantization) {
  std::vector<int64_t> shape = {tensor.rows};
  if (!tensor.is_vector) shape.push_back(tensor.columns);
  if (stored.shape != shape) {
    return absl::InvalidArgumentError(absl::StrCat(
        *stored.path, ": tensor ", tensor.name, " has shape [", absl::StrJoin(stored.shape, ", "),
        "]; config.json asks for [", absl::StrJoin(shape, ", "), "]"));
  }
  if (IsPlainFloat(*stored.type)) return absl::OkStatus();
  const bool quantizable = quantization.enabled() && IsQuantizable(tensor.role);
  if (quantizable && IsE4M3(*stored.type)) {
    return FindScales(checkpoint, tensor, quantization).status();
  }
  return absl::UnimplementedError(
      absl::StrCat(*stored.path, ": tensor ", tensor.name, " has dtype ", stored.type->name,
                   "; F32, BF16 and F16 are read", quantizable ? ", and F8_E4M3" : ""));
}

std::string SomeOf(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamedTensors);
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + shown, ", "),
                      shown < names.size() ? ", ..." : "");
}

// What one rank alone needs, whether or not that is a layout of the model.
std::vector<TensorInfo> AllTensors(const ModelSpec& spec) {
  RankPosition all;
  all.end_layer = spec.num_layers;
  all.first_stage = all.last_stage = true;
  return TensorTable(spec).NeededBy(Layout(), all);
}

// A tensor that changes answers, if the model is made to have it.
bool IsOfBackbone(absl::string_view name) {
  if (!absl::StartsWith(name, "model.")) return false;
  const absl::string_view what = name.substr(name.rfind('.') + 1);
  return !absl::StrContains(what, "scale") && what != "inv_freq" && what != "_extra_state";
}

}  // namespace

absl::Status CheckScaleDType(const StoredTensor& stored, const std::string& name) {
  if (IsPlainFloat(*stored.type)) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(*stored.path, ": tensor ", name, " has dtype ",
                                               stored.type->name,
                                               "; scales are read as F32, BF16 and F16"));
}

absl::StatusOr<ScaleTensors> FindScales(const Checkpoint& checkpoint, const TensorInfo& tensor,
                                        const QuantizationSpec& quantization) {
  const std::string module(absl::StripSuffix(tensor.name, "weight"));
  const bool per_tensor = quantization.scheme == QuantizationScheme::kTensor;
  const bool per_block = quantization.scheme == QuantizationScheme::kBlock;
  ScaleTensors scales;
  ASSIGN_OR_RETURN(scales.weight,
                   FindScale(checkpoint, tensor, absl::StrCat(module, quantization.scale_name)));
  const int64_t count = NumElements(*scales.weight.stored);
  const int64_t wanted = per_block    ? Blocks(tensor.rows) * Blocks(tensor.columns)
                         : per_tensor ? 1
                                      : tensor.rows;
  const bool one_for_all = count == 1 && !per_block;
  if (count != wanted && !one_for_all) {
    return absl::InvalidArgumentError(absl::StrCat(
        *scales.weight.stored->path, ": tensor ", scales.weight.name, " has ", count, " scales; ",
        tensor.name, " of [", tensor.rows, ", ", tensor.columns, "] needs ", wanted));
  }
  if (!per_tensor) return scales;
  ASSIGN_OR_RETURN(scales.input,
                   FindScale(checkpoint, tensor, absl::StrCat(module, "input_scale")));
  return scales;
}

absl::Status CheckTensors(const Checkpoint& checkpoint, const std::vector<TensorInfo>& tensors,
                          const QuantizationSpec& quantization) {
  std::vector<std::string> missing;
  for (const TensorInfo& tensor : tensors) {
    const StoredTensor* stored = checkpoint.Find(tensor.name);
    if (stored == nullptr) {
      missing.push_back(tensor.name);
    } else {
      RETURN_IF_ERROR(CheckStored(checkpoint, tensor, *stored, quantization));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(checkpoint.directory(), " lacks ", missing.size(), " of ",
                                          tensors.size(), " tensors: ", SomeOf(missing)));
}

absl::Status CheckAllUsed(const Checkpoint& checkpoint, const ModelSpec& spec) {
  absl::flat_hash_set<std::string> used;
  for (const TensorInfo& tensor : AllTensors(spec)) used.insert(tensor.name);
  std::vector<std::string> unused;
  for (const std::string& name : checkpoint.Names()) {
    if (IsOfBackbone(name) && !used.contains(name)) unused.push_back(name);
  }
  if (unused.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(checkpoint.directory(), " has ", unused.size(),
                                                 " tensors that config.json, of ", spec.num_layers,
                                                 " layers, has no use for: ", SomeOf(unused)));
}

absl::Status CheckCheckpoint(const std::string& model_dir, const ModelSpec& spec) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(model_dir));
  RETURN_IF_ERROR(CheckTensors(checkpoint, AllTensors(spec), spec.quantization));
  return CheckAllUsed(checkpoint, spec);
}

}  // namespace regatta
