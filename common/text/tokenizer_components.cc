// Components of tokenizer.json to TokenizerSpec. Each kind may be a Sequence of its own kind,
// nested to a bounded depth.
#include "common/text/tokenizer_components.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr int kMaxNesting = 8;

// The pattern that a ByteLevel pre-tokeniser applies by itself (GPT-2, src/encoder.py).
constexpr char kGpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

absl::StatusOr<std::string> TypeOf(const JsonNode& node) {
  ASSIGN_OR_RETURN(JsonNode type, node.Get("type"));
  return type.String();
}

absl::Status Unsupported(const JsonNode& node, const std::string& type, const char* supported) {
  return absl::UnimplementedError(
      absl::StrCat(node.path(), ".type: \"", type, "\" is not supported (", supported, ")"));
}

// An optional boolean field.
absl::StatusOr<bool> Flag(const JsonNode& node, const char* key, bool otherwise) {
  if (!node.Has(key)) return otherwise;
  ASSIGN_OR_RETURN(JsonNode field, node.Get(key));
  return field.Bool();
}

using Visit = absl::FunctionRef<absl::Status(const JsonNode& node, const std::string& type)>;

// Calls `visit` for a component, or for each member of a Sequence, whose list is called `list`.
absl::Status ForEachComponent(const JsonNode& node, const char* list, Visit visit, int depth = 0) {
  ASSIGN_OR_RETURN(std::string type, TypeOf(node));
  if (type != "Sequence") return visit(node, type);
  if (depth == kMaxNesting) {
    return node.Error(absl::StrCat("is nested deeper than ", kMaxNesting, " sequences"));
  }
  ASSIGN_OR_RETURN(JsonNode members, node.Get(list));
  ASSIGN_OR_RETURN(size_t count, members.ArraySize());
  for (size_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(ForEachComponent(members.At(i), list, visit, depth + 1));
  }
  return absl::OkStatus();
}

absl::Status ParseNormalizer(const JsonNode& node, const std::string& type, TokenizerSpec& spec) {
  for (auto [name, form] : {std::pair{"NFC", UnicodeForm::kNfc},
                            {"NFD", UnicodeForm::kNfd},
                            {"NFKC", UnicodeForm::kNfkc},
                            {"NFKD", UnicodeForm::kNfkd}}) {
    if (type != name) continue;
    spec.normalizers.push_back(form);
    return absl::OkStatus();
  }
  return Unsupported(node, type, "NFC, NFD, NFKC, NFKD and Sequence are");
}

absl::StatusOr<SplitBehavior> ParseBehavior(const JsonNode& node) {
  ASSIGN_OR_RETURN(std::string name, node.String());
  for (auto [known, behavior] : {std::pair{"Removed", SplitBehavior::kRemoved},
                                 {"Isolated", SplitBehavior::kIsolated},
                                 {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
                                 {"MergedWithNext", SplitBehavior::kMergedWithNext},
                                 {"Contiguous", SplitBehavior::kContiguous}}) {
    if (name == known) return behavior;
  }
  return node.Error(absl::StrCat("\"", name, "\" is not a split behaviour"));
}

absl::StatusOr<SplitPattern> ParseSplit(const JsonNode& node) {
  SplitPattern split;
  ASSIGN_OR_RETURN(JsonNode pattern, node.Get("pattern"));
  split.literal = pattern.Has("String");
  ASSIGN_OR_RETURN(JsonNode text, pattern.Get(split.literal ? "String" : "Regex"));
  ASSIGN_OR_RETURN(split.text, text.String());
  ASSIGN_OR_RETURN(JsonNode behavior, node.Get("behavior"));
  ASSIGN_OR_RETURN(split.behavior, ParseBehavior(behavior));
  ASSIGN_OR_RETURN(split.invert, Flag(node, "invert", false));
  return split;
}

absl::StatusOr<SplitPattern> ParseDigits(const JsonNode& node) {
  ASSIGN_OR_RETURN(bool individual, Flag(node, "individual_digits", false));
  return SplitPattern{
      .text = "\\p{N}",
      .behavior = individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous};
}

absl::StatusOr<SplitStage> ParseByteLevel(const JsonNode& node) {
  SplitStage stage;
  ASSIGN_OR_RETURN(stage.add_prefix_space, Flag(node, "add_prefix_space", true));
  ASSIGN_OR_RETURN(bool use_regex, Flag(node, "use_regex", true));
  if (use_regex) stage.split = SplitPattern{.text = kGpt2Pattern};
  return stage;
}

// ByteLevel turns text into its byte alphabet, so patterns after it would see other characters: it
// must come last.
absl::Status ParsePreTokenizers(const JsonNode& node, TokenizerSpec& spec) {
  bool byte_level = false;
  auto visit = [&](const JsonNode& part, const std::string& type) -> absl::Status {
    if (byte_level) {
      return absl::UnimplementedError(
          absl::StrCat(part.path(), ": no pre-tokenizer is supported after ByteLevel"));
    }
    SplitStage stage;
    if (type == "Split") {
      ASSIGN_OR_RETURN(stage.split, ParseSplit(part));
    } else if (type == "Digits") {
      ASSIGN_OR_RETURN(stage.split, ParseDigits(part));
    } else if (type == "ByteLevel") {
      ASSIGN_OR_RETURN(stage, ParseByteLevel(part));
      byte_level = true;
    } else {
      return Unsupported(part, type, "Split, Digits, ByteLevel and Sequence are");
    }
    spec.pre_tokenizers.push_back(std::move(stage));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachComponent(node, "pretokenizers", visit));
  if (byte_level) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(node.path(), ": only pipelines that end in ByteLevel are supported"));
}

absl::StatusOr<std::vector<int32_t>> TemplateIds(const JsonNode& processor, const JsonNode& piece) {
  ASSIGN_OR_RETURN(JsonNode name_node, piece.Get("id"));
  ASSIGN_OR_RETURN(std::string name, name_node.String());
  ASSIGN_OR_RETURN(JsonNode specials, processor.Get("special_tokens"));
  ASSIGN_OR_RETURN(JsonNode special, specials.Get(name.c_str()));
  ASSIGN_OR_RETURN(JsonNode list, special.Get("ids"));
  ASSIGN_OR_RETURN(size_t count, list.ArraySize());
  std::vector<int32_t> ids(count);
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(ids[i], list.At(i).Index(kTokenIdLimit));
  }
  return ids;
}

// Reads the template of one sequence, "single"; pairs of sequences do not occur here.
absl::Status ParseTemplate(const JsonNode& node, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(JsonNode single, node.Get("single"));
  ASSIGN_OR_RETURN(size_t count, single.ArraySize());
  std::vector<int32_t> before, after;
  bool seen_text = false;
  for (size_t i = 0; i < count; ++i) {
    JsonNode piece = single.At(i);
    if (piece.Has("Sequence")) {
      if (seen_text) return piece.Error("repeats the text, which is not supported");
      seen_text = true;
      continue;
    }
    ASSIGN_OR_RETURN(JsonNode special, piece.Get("SpecialToken"));
    ASSIGN_OR_RETURN(std::vector<int32_t> ids, TemplateIds(node, special));
    std::vector<int32_t>& side = seen_text ? after : before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!seen_text) return single.Error("leaves the text out");
  spec.prefix.insert(spec.prefix.begin(), before.begin(), before.end());
  spec.suffix.insert(spec.suffix.end(), after.begin(), after.end());
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseComponents(const JsonNode& root, TokenizerSpec& spec) {
  if (root.Has("normalizer")) {
    ASSIGN_OR_RETURN(JsonNode node, root.Get("normalizer"));
    RETURN_IF_ERROR(
        ForEachComponent(node, "normalizers", [&](const JsonNode& part, const std::string& type) {
          return ParseNormalizer(part, type, spec);
        }));
  }
  ASSIGN_OR_RETURN(JsonNode pre_tokenizer, root.Get("pre_tokenizer"));
  RETURN_IF_ERROR(ParsePreTokenizers(pre_tokenizer, spec));
  if (root.Has("post_processor")) {
    ASSIGN_OR_RETURN(JsonNode node, root.Get("post_processor"));
    RETURN_IF_ERROR(ForEachComponent(
        node, "processors", [&](const JsonNode& part, const std::string& type) -> absl::Status {
          if (type == "ByteLevel") return absl::OkStatus();  // Moves offsets only.
          if (type == "TemplateProcessing") return ParseTemplate(part, spec);
          return Unsupported(part, type, "ByteLevel, TemplateProcessing and Sequence are");
        }));
  }
  ASSIGN_OR_RETURN(JsonNode decoder, root.Get("decoder"));
  return ForEachComponent(decoder, "decoders",
                          [](const JsonNode& part, const std::string& type) -> absl::Status {
                            if (type == "ByteLevel") return absl::OkStatus();
                            return Unsupported(part, type, "ByteLevel is");
                          });
}

}  // namespace regatta
