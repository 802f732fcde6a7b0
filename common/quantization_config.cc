// quantization_config and hf_quant_config.json -> QuantizationSpec.
#include "common/quantization_config.h"

#include "common/status_macros.h"

namespace regatta {
namespace {

// Sources: https://nvidia.github.io/Model-Optimizer, https://github.com/vllm-project/
// compressed-tensors (quantization/quant_args.py), transformers' FineGrainedFP8Config.
constexpr char kKnown[] =
    "known: modelopt FP8; compressed-tensors float-quantized with weights per tensor (static "
    "inputs), channel (inputs per token) or block of 128 x 128 (inputs per group of 128); fp8 with "
    "weight_block_size [128, 128] or static inputs";

absl::Status Unknown(const std::string& what) {
  return absl::UnimplementedError(absl::StrCat(what.substr(0, 200), " is not supported; ", kKnown));
}

const Json& EmptyObject() {
  static const Json empty = Json::object();
  return empty;
}

const Json& ObjectAt(const Json& parent, const char* key) {
  const auto it = parent.find(key);
  return it != parent.end() && it->is_object() ? *it : EmptyObject();
}

// [128, 128], in either spelling.
bool IsKnownBlock(const Json& block) { return block == Json::array({kScaleBlock, kScaleBlock}); }

// Whether keys and values are to be kept in E4M3. Not given, numbers are whole ones, as in
// compressed-tensors.
absl::StatusOr<bool> ReadKvCacheScheme(const Fields& config) {
  if (!config.Has("kv_cache_scheme")) return false;
  const Json& scheme = config.Raw("kv_cache_scheme");
  const std::string path = config.PathOf("kv_cache_scheme");
  if (!scheme.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " holds ", scheme.type_name(), "; expected an object"));
  }
  absl::Status status;
  Fields fields(scheme, absl::StrCat(path, "."), status);
  const std::string type = fields.StringOr("type", "int");
  const int bits = fields.IntOr("num_bits", 8, 0, 64);
  RETURN_IF_ERROR(status);
  if (type == "float" && bits == 8) return true;
  return Unknown(absl::StrCat("a kv_cache_scheme of type ", type, " with ", bits, " bits"));
}

// The FP8 algorithm of ModelOpt: constants found by calibration, one per matrix and input.
absl::StatusOr<QuantizationSpec> ParseModelOpt(const Json& config, const std::string& path) {
  absl::Status status;
  Fields fields(config, path, status);
  QuantizationSpec spec;
  const std::string algorithm = fields.StringOr("quant_algo", "");
  const std::string kv_algorithm = fields.StringOr("kv_cache_quant_algo", "");
  RETURN_IF_ERROR(status);
  if (algorithm != "FP8") return Unknown(absl::StrCat("modelopt quant_algo '", algorithm, "'"));
  if (!kv_algorithm.empty() && kv_algorithm != "FP8") {
    return Unknown(absl::StrCat("modelopt kv_cache_quant_algo '", kv_algorithm, "'"));
  }
  spec.scheme = QuantizationScheme::kTensor;
  spec.scale_name = "weight_scale";
  ASSIGN_OR_RETURN(const bool kv_scheme, ReadKvCacheScheme(fields));
  spec.kv_cache = kv_algorithm == "FP8" || kv_scheme;
  return spec;
}

// One side of a group of compressed-tensors.
struct CompressedArgs {
  std::string text;  // for messages
  std::string strategy;
  bool dynamic = false;
  bool is_float8 = false;
  int group_size = 0;
};

CompressedArgs ReadArgs(const Json& group, const char* key, absl::Status& status) {
  Fields fields(ObjectAt(group, key), absl::StrCat(key, "."), status);
  CompressedArgs args;
  args.strategy = fields.StringOr("strategy", "tensor");
  args.dynamic = fields.BoolOr("dynamic", false);
  args.group_size = fields.IntOr("group_size", 0, -1, 1 << 20);  // -1 is none, like 0
  args.is_float8 =
      fields.StringOr("type", "") == "float" && fields.IntOr("num_bits", 0, 0, 64) == 8;
  args.text = absl::StrCat(key, " ", args.is_float8 ? "fp8" : "of another type", " per ",
                           args.strategy, args.dynamic ? " (dynamic)" : " (static)");
  return args;
}

absl::StatusOr<QuantizationSpec> ParseCompressedTensors(const Json& config) {
  absl::Status status;
  Fields fields(config, "quantization_config.", status);
  const std::string format = fields.StringOr("format", "");
  const Json& groups = ObjectAt(config, "config_groups");
  if (format != "float-quantized" && format != "naive-quantized") {
    return Unknown(absl::StrCat("compressed-tensors format '", format, "'"));
  }
  if (groups.size() != 1) {
    return Unknown(absl::StrCat("compressed-tensors with ", groups.size(), " config_groups"));
  }
  const Json& group = *groups.begin();
  const CompressedArgs weights = ReadArgs(group, "weights", status);
  const CompressedArgs inputs = ReadArgs(group, "input_activations", status);
  RETURN_IF_ERROR(status);
  QuantizationSpec spec;
  spec.scale_name = "weight_scale";
  ASSIGN_OR_RETURN(spec.kv_cache, ReadKvCacheScheme(fields));
  const bool both = weights.is_float8 && inputs.is_float8 && !weights.dynamic;
  const auto is = [&](const char* weight_strategy, const char* input_strategy, bool dynamic) {
    return both && weights.strategy == weight_strategy && inputs.strategy == input_strategy &&
           inputs.dynamic == dynamic;
  };
  if (is("tensor", "tensor", false)) {
    spec.scheme = QuantizationScheme::kTensor;
  } else if (is("channel", "token", true) || is("tensor", "token", true)) {
    spec.scheme = QuantizationScheme::kChannel;  // one scale per matrix is one for every channel
  } else if (is("block", "group", true) && inputs.group_size == kScaleBlock &&
             IsKnownBlock(group["weights"].value("block_structure", Json()))) {
    spec.scheme = QuantizationScheme::kBlock;
  } else {
    return Unknown(absl::StrCat("compressed-tensors with ", weights.text, ", ", inputs.text));
  }
  return spec;
}

absl::StatusOr<QuantizationSpec> ParseFp8(const Json& config) {
  absl::Status status;
  Fields fields(config, "quantization_config.", status);
  const std::string activations = fields.StringOr("activation_scheme", "dynamic");
  RETURN_IF_ERROR(status);
  QuantizationSpec spec;
  ASSIGN_OR_RETURN(spec.kv_cache, ReadKvCacheScheme(fields));
  if (fields.Has("weight_block_size")) {
    if (!IsKnownBlock(fields.Raw("weight_block_size")) || activations != "dynamic") {
      return Unknown(absl::StrCat("fp8 with weight_block_size ",
                                  fields.Raw("weight_block_size").dump(), " and ", activations,
                                  " inputs"));
    }
    spec.scheme = QuantizationScheme::kBlock;
    spec.scale_name = "weight_scale_inv";
    return spec;
  }
  spec.scale_name = "weight_scale";
  if (activations != "static" && activations != "dynamic") {
    return Unknown(absl::StrCat("fp8 with ", activations, " inputs"));
  }
  spec.scheme =
      activations == "static" ? QuantizationScheme::kTensor : QuantizationScheme::kChannel;
  return spec;
}

}  // namespace

absl::StatusOr<QuantizationSpec> ParseQuantizationConfig(const Json& config) {
  absl::Status status;
  Fields fields(config, "quantization_config.", status);
  if (!config.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantization_config holds ", config.type_name(), "; expected an object"));
  }
  const std::string method = fields.StringOr("quant_method", "");
  RETURN_IF_ERROR(status);
  if (method == "modelopt") return ParseModelOpt(config, "quantization_config.");
  if (method == "compressed-tensors") return ParseCompressedTensors(config);
  if (method == "fp8") return ParseFp8(config);
  return Unknown(absl::StrCat("quantisation scheme '", method, "'"));
}

absl::StatusOr<QuantizationSpec> ParseModelOptConfig(const std::string& text) {
  ASSIGN_OR_RETURN(const Json file, ParseObject(text, "hf_quant_config.json"));
  return ParseModelOpt(ObjectAt(file, "quantization"), "hf_quant_config.json: quantization.");
}

}  // namespace regatta
