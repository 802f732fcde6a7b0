// The decoder of tokenizer.json to TokenizerSpec, and the components that occur in two roles.
#include <utility>

#include "common/text/component_json.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

constexpr int kMaxNesting = 8;
constexpr int32_t kMaxStripped = 1 << 16;

// A field that must hold exactly one character.
absl::StatusOr<std::string> CharacterField(const JsonNode& node, const char* key) {
  ASSIGN_OR_RETURN(std::string text, StringField(node, key));
  if (CharacterCount(text) == 1) return text;
  return node.Error(absl::StrCat("\"", key, "\" must be one character, is \"", text, "\""));
}

absl::StatusOr<DecoderStrip> ParseStrip(const JsonNode& node) {
  DecoderStrip strip;
  ASSIGN_OR_RETURN(strip.content, CharacterField(node, "content"));
  for (auto [key, count] : {std::pair{"start", &strip.start}, {"stop", &strip.stop}}) {
    ASSIGN_OR_RETURN(JsonNode field, node.Get(key));
    ASSIGN_OR_RETURN(int32_t value, field.Index(kMaxStripped));
    *count = static_cast<size_t>(value);
  }
  return strip;
}

absl::StatusOr<DecoderStep> ParseStep(const JsonNode& node, const std::string& type) {
  if (type == "ByteLevel") return ByteLevelStep{};
  if (type == "ByteFallback") return ByteFallbackStep{};
  if (type == "Fuse") return FuseStep{};
  if (type == "Strip") return ParseStrip(node);
  if (type == "Replace") return ParseReplace(node);
  if (type == "Metaspace") return ParseMetaspace(node);
  return UnsupportedComponent(
      node, type, "ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace and Sequence are");
}

}  // namespace

absl::Status ForEachComponent(const JsonNode& node, const char* list, VisitComponent visit,
                              int depth) {
  ASSIGN_OR_RETURN(std::string type, StringField(node, "type"));
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

absl::StatusOr<ReplaceRule> ParseReplace(const JsonNode& node) {
  ReplaceRule rule;
  ASSIGN_OR_RETURN(JsonNode pattern, node.Get("pattern"));
  rule.literal = pattern.Has("String");
  ASSIGN_OR_RETURN(rule.pattern, StringField(pattern, rule.literal ? "String" : "Regex"));
  if (rule.pattern.empty()) return pattern.Error("must not be empty");
  ASSIGN_OR_RETURN(rule.content, StringField(node, "content"));
  return rule;
}

// Older files say add_prefix_space instead of prepend_scheme.
absl::StatusOr<MetaspaceRule> ParseMetaspace(const JsonNode& node) {
  MetaspaceRule rule;
  ASSIGN_OR_RETURN(rule.replacement, CharacterField(node, "replacement"));
  ASSIGN_OR_RETURN(bool prefix, OptionalFlag(node, "add_prefix_space", true));
  std::string scheme = prefix ? "always" : "never";
  if (node.Has("prepend_scheme")) {
    ASSIGN_OR_RETURN(scheme, StringField(node, "prepend_scheme"));
  }
  using Prepend = MetaspaceRule::Prepend;
  bool known = false;
  for (auto [name, prepend] : {std::pair{"always", Prepend::kAlways},
                               {"first", Prepend::kFirst},
                               {"never", Prepend::kNever}}) {
    if (scheme != name) continue;
    rule.prepend = prepend;
    known = true;
  }
  if (!known) {
    return node.Error(
        absl::StrCat("prepend_scheme is \"", scheme, "\", must be always, first or never"));
  }
  if (!prefix && rule.prepend != Prepend::kNever) {
    return node.Error("add_prefix_space contradicts prepend_scheme");
  }
  ASSIGN_OR_RETURN(rule.split, OptionalFlag(node, "split", true));
  return rule;
}

absl::Status ParseDecoder(const JsonNode& root, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(JsonNode decoder, root.Get("decoder"));
  return ForEachComponent(decoder, "decoders",
                          [&](const JsonNode& part, const std::string& type) -> absl::Status {
                            ASSIGN_OR_RETURN(DecoderStep step, ParseStep(part, type));
                            spec.decoders.push_back(std::move(step));
                            return absl::OkStatus();
                          });
}

}  // namespace regatta
