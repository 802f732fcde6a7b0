// tokenizer.json to TokenizerSpec: added tokens, model and the top level. Components are read in
// tokenizer_components.cc.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/json_text.h"
#include "common/status_macros.h"
#include "common/text/json_node.h"
#include "common/text/tokenizer_components.h"
#include "common/text/tokenizer_spec.h"

namespace regatta {
namespace {

absl::StatusOr<AddedToken> ParseAddedToken(const JsonNode& node) {
  AddedToken token;
  ASSIGN_OR_RETURN(JsonNode id, node.Get("id"));
  ASSIGN_OR_RETURN(token.id, id.Index(kTokenIdLimit));
  ASSIGN_OR_RETURN(JsonNode content, node.Get("content"));
  ASSIGN_OR_RETURN(token.content, content.String());
  if (token.content.empty()) return content.Error("must not be empty");
  for (auto [key, flag] : {std::pair{"special", &token.special},
                           {"lstrip", &token.lstrip},
                           {"rstrip", &token.rstrip},
                           {"single_word", &token.single_word},
                           {"normalized", &token.normalized}}) {
    ASSIGN_OR_RETURN(JsonNode field, node.Get(key));
    ASSIGN_OR_RETURN(*flag, field.Bool());
  }
  return token;
}

absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(const JsonNode& root) {
  std::vector<AddedToken> tokens;
  if (!root.Has("added_tokens")) return tokens;
  ASSIGN_OR_RETURN(JsonNode list, root.Get("added_tokens"));
  ASSIGN_OR_RETURN(size_t count, list.ArraySize());
  tokens.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(list.At(i)));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

absl::Status ParseVocab(const JsonNode& node, BpeSpec& model) {
  if (!node.value().is_object()) return node.Error("must be an object of token to id");
  model.vocab.reserve(node.value().size());
  for (const auto& [token, value] : node.value().items()) {
    absl::StatusOr<int32_t> id = JsonNode(value, "").Index(kTokenIdLimit);
    if (!id.ok())
      return JsonNode(value, absl::StrCat(node.path(), "[\"", token, "\"]"))
          .Index(kTokenIdLimit)
          .status();
    model.vocab.emplace_back(token, *id);
  }
  return absl::OkStatus();
}

// A merge is "left right" (older files) or ["left", "right"].
absl::Status ParseMerges(const JsonNode& node, BpeSpec& model) {
  ASSIGN_OR_RETURN(size_t count, node.ArraySize());
  model.merges.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const nlohmann::json& merge = node.value()[i];
    if (merge.is_string()) {
      std::vector<std::string> parts = absl::StrSplit(merge.get_ref<const std::string&>(), ' ');
      if (parts.size() != 2) return node.At(i).Error("must hold two tokens with one space between");
      model.merges.emplace_back(std::move(parts[0]), std::move(parts[1]));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      model.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      return node.At(i).Error("must be \"left right\" or [\"left\", \"right\"]");
    }
  }
  return absl::OkStatus();
}

// Refuses what no model that runs here has.
absl::Status CheckPlainBpe(const JsonNode& model) {
  if (model.Has("dropout") && model.value()["dropout"] != 0.0) {
    return absl::UnimplementedError(
        absl::StrCat(model.path(), ".dropout: only null and 0 are supported"));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.Has(key) && model.value()[key] != "") {
      return absl::UnimplementedError(
          absl::StrCat(model.path(), ".", key, ": only null and \"\" are supported"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<BpeSpec> ParseModel(const JsonNode& node) {
  std::string type = "BPE";  // Older files leave it out.
  if (node.Has("type")) {
    ASSIGN_OR_RETURN(JsonNode name, node.Get("type"));
    ASSIGN_OR_RETURN(type, name.String());
  }
  if (type != "BPE") {
    return absl::UnimplementedError(
        absl::StrCat(node.path(), ".type: \"", type, "\" is not supported, only \"BPE\""));
  }
  RETURN_IF_ERROR(CheckPlainBpe(node));
  BpeSpec model;
  ASSIGN_OR_RETURN(JsonNode vocab, node.Get("vocab"));
  RETURN_IF_ERROR(ParseVocab(vocab, model));
  ASSIGN_OR_RETURN(JsonNode merges, node.Get("merges"));
  RETURN_IF_ERROR(ParseMerges(merges, model));
  if (node.Has("unk_token")) {
    ASSIGN_OR_RETURN(JsonNode unk, node.Get("unk_token"));
    ASSIGN_OR_RETURN(model.unk_token, unk.String());
  }
  for (auto [key, flag] : {std::pair{"fuse_unk", &model.fuse_unk},
                           {"byte_fallback", &model.byte_fallback},
                           {"ignore_merges", &model.ignore_merges}}) {
    if (!node.Has(key)) continue;
    ASSIGN_OR_RETURN(JsonNode field, node.Get(key));
    ASSIGN_OR_RETURN(*flag, field.Bool());
  }
  return model;
}

absl::StatusOr<TokenizerSpec> ParseRoot(const JsonNode& root) {
  TokenizerSpec spec;
  ASSIGN_OR_RETURN(JsonNode model, root.Get("model"));
  ASSIGN_OR_RETURN(spec.model, ParseModel(model));
  ASSIGN_OR_RETURN(spec.added_tokens, ParseAddedTokens(root));
  RETURN_IF_ERROR(ParseComponents(root, spec));
  return spec;
}

}  // namespace

absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text) {
  ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson({text.data(), text.size()}));
  return ParseRoot(JsonNode(document, "tokenizer"));
}

}  // namespace regatta
