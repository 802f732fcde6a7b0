// Components of tokenizer.json to TokenizerSpec, but for the decoder. Each kind may be a Sequence
// of its own kind.
#include "common/text/tokenizer_components.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/text/component_json.h"
#include "common/text/known_split.h"

namespace regatta {
namespace {

absl::Status ParseNormalizer(const JsonNode& node, const std::string& type, TokenizerSpec& spec) {
  for (auto [name, form] : {std::pair{"NFC", UnicodeForm::kNfc},
                            {"NFD", UnicodeForm::kNfd},
                            {"NFKC", UnicodeForm::kNfkc},
                            {"NFKD", UnicodeForm::kNfkd}}) {
    if (type != name) continue;
    spec.normalizers.emplace_back(form);
    return absl::OkStatus();
  }
  if (type == "Lowercase") {
    spec.normalizers.emplace_back(LowercaseRule{});
  } else if (type == "Strip") {
    StripRule rule;
    ASSIGN_OR_RETURN(rule.left, OptionalFlag(node, "strip_left", true));
    ASSIGN_OR_RETURN(rule.right, OptionalFlag(node, "strip_right", true));
    spec.normalizers.emplace_back(rule);
  } else if (type == "Prepend") {
    ASSIGN_OR_RETURN(std::string text, StringField(node, "prepend"));
    spec.normalizers.emplace_back(PrependRule{std::move(text)});
  } else if (type == "Replace") {
    ASSIGN_OR_RETURN(ReplaceRule rule, ParseReplace(node));
    spec.normalizers.emplace_back(std::move(rule));
  } else {
    return UnsupportedComponent(
        node, type, "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace and Sequence are");
  }
  return absl::OkStatus();
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
  ASSIGN_OR_RETURN(split.invert, OptionalFlag(node, "invert", false));
  return split;
}

absl::StatusOr<SplitPattern> ParseDigits(const JsonNode& node) {
  ASSIGN_OR_RETURN(bool individual, OptionalFlag(node, "individual_digits", false));
  return SplitPattern{
      .text = "\\p{N}",
      .behavior = individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous};
}

absl::StatusOr<SplitStage> ParseByteLevel(const JsonNode& node) {
  SplitStage stage;
  ASSIGN_OR_RETURN(stage.add_prefix_space, OptionalFlag(node, "add_prefix_space", true));
  ASSIGN_OR_RETURN(bool use_regex, OptionalFlag(node, "use_regex", true));
  if (use_regex) stage.split = SplitPattern{.text = KnownSplit::kGpt2};
  return stage;
}

// Words and runs of signs; what is between them goes. \w of the library's Rust patterns holds the
// joiners.
constexpr char kWhitespacePattern[] = R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}]+)"
                                      R"(|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}\s]+)";

absl::StatusOr<SplitStage> ParsePreTokenizer(const JsonNode& node, const std::string& type) {
  SplitStage stage;
  if (type == "Split") {
    ASSIGN_OR_RETURN(stage.split, ParseSplit(node));
  } else if (type == "Digits") {
    ASSIGN_OR_RETURN(stage.split, ParseDigits(node));
  } else if (type == "Whitespace") {
    stage.split = SplitPattern{
        .text = kWhitespacePattern, .behavior = SplitBehavior::kRemoved, .invert = true};
  } else if (type == "WhitespaceSplit") {
    stage.split = SplitPattern{.text = "\\s", .behavior = SplitBehavior::kRemoved};
  } else if (type == "Metaspace") {
    ASSIGN_OR_RETURN(stage.metaspace, ParseMetaspace(node));
  } else if (type == "ByteLevel") {
    return ParseByteLevel(node);
  } else {
    return UnsupportedComponent(
        node, type,
        "Split, Digits, Whitespace, WhitespaceSplit, Metaspace, ByteLevel and Sequence are");
  }
  return stage;
}

// ByteLevel turns text into its byte alphabet, so patterns after it would see other characters: it
// must come last.
absl::Status ParsePreTokenizers(const JsonNode& node, TokenizerSpec& spec) {
  return ForEachComponent(
      node, "pretokenizers", [&](const JsonNode& part, const std::string& type) -> absl::Status {
        if (spec.byte_level) {
          return absl::UnimplementedError(
              absl::StrCat(part.path(), ": no pre-tokenizer is supported after ByteLevel"));
        }
        spec.byte_level = type == "ByteLevel";
        ASSIGN_OR_RETURN(SplitStage stage, ParsePreTokenizer(part, type));
        spec.pre_tokenizers.push_back(std::move(stage));
        return absl::OkStatus();
      });
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
  if (root.Has("pre_tokenizer")) {
    ASSIGN_OR_RETURN(JsonNode node, root.Get("pre_tokenizer"));
    RETURN_IF_ERROR(ParsePreTokenizers(node, spec));
  }
  if (root.Has("post_processor")) {
    ASSIGN_OR_RETURN(JsonNode node, root.Get("post_processor"));
    RETURN_IF_ERROR(ForEachComponent(
        node, "processors", [&](const JsonNode& part, const std::string& type) -> absl::Status {
          if (type == "ByteLevel") return absl::OkStatus();  // Moves offsets only.
          if (type == "TemplateProcessing") return ParseTemplate(part, spec);
          return UnsupportedComponent(part, type, "ByteLevel, TemplateProcessing and Sequence are");
        }));
  }
  return ParseDecoder(root, spec);
}

}  // namespace regatta
