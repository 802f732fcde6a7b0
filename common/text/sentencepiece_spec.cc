// tokenizer.model to TokenizerSpec: scores become merges, special pieces become added tokens.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/json_text.h"
#include "common/status_macros.h"
#include "common/text/component_json.h"
#include "common/text/json_node.h"
#include "common/text/sentencepiece_model.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

using PieceType = SentencePieceModel::PieceType;

constexpr char kMark[] = "\u2581";  // Stands for a space.
// Every way to cut a piece in two is looked up, so a huge one must not occupy the start; trainers
// make at most 512 characters.
constexpr size_t kMaxPieceBytes = 4096;

absl::Status CheckPiece(const SentencePieceModel::Piece& piece, size_t id) {
  auto refuse = [id](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("sentencepiece: piece ", id, " ", what));
  };
  if (piece.text.size() > kMaxPieceBytes) {
    return refuse(absl::StrCat("has ", piece.text.size(), " bytes, the limit is ", kMaxPieceBytes));
  }
  if (piece.text.empty()) return refuse("is empty");
  if (!IsValidUtf8(piece.text)) return refuse("is not valid UTF-8");
  if (!std::isfinite(piece.score)) return refuse(absl::StrCat("has the score ", piece.score));
  return absl::OkStatus();
}

absl::Status CheckModel(const SentencePieceModel& model) {
  auto refuse = [](const char* what) {
    return absl::UnimplementedError(absl::StrCat("sentencepiece: ", what, " is not supported"));
  };
  if (model.type != SentencePieceModel::ModelType::kBpe) return refuse("a model other than BPE");
  if (model.normalizes) return refuse("a character map (normalization_rule_name)");
  if (model.space_is_suffix) return refuse("treat_whitespace_as_suffix");
  if (!model.escape_spaces) return refuse("escape_whitespaces false");
  absl::flat_hash_set<std::string_view> texts;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    RETURN_IF_ERROR(CheckPiece(model.pieces[id], id));
    if (!texts.insert(model.pieces[id].text).second) {
      return absl::InvalidArgumentError(absl::StrCat("sentencepiece: piece ", id, " \"",
                                                     model.pieces[id].text, "\" occurs twice"));
    }
    if (model.pieces[id].type == PieceType::kUnused) return refuse("an unused piece");
  }
  return absl::OkStatus();
}

// Any two neighbours whose texts together are a piece may merge, the piece of best score first.
void AddMerges(const SentencePieceModel& model, BpeSpec& spec) {
  absl::flat_hash_map<std::string_view, float> scores;
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    if (piece.type == PieceType::kNormal) scores.emplace(piece.text, piece.score);
  }
  std::vector<float> order;
  for (const auto& [text, score] : scores) order.push_back(score);
  std::sort(order.begin(), order.end(), std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  for (const auto& [text, score] : scores) {
    auto place = std::lower_bound(order.begin(), order.end(), score, std::greater<>());
    for (size_t cut = 1; cut < text.size(); ++cut) {
      std::string_view left = text.substr(0, cut), right = text.substr(cut);
      if (!scores.contains(left) || !scores.contains(right)) continue;
      spec.merges.emplace_back(left, right);
      spec.merge_ranks.push_back(static_cast<uint32_t>(place - order.begin()));
    }
  }
}

BpeSpec MakeBpe(const SentencePieceModel& model) {
  BpeSpec spec;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    spec.vocab.emplace_back(model.pieces[id].text, static_cast<int32_t>(id));
    if (model.pieces[id].type == PieceType::kUnknown) spec.unk_token = model.pieces[id].text;
  }
  spec.fuse_unk = true;
  spec.byte_fallback = model.byte_fallback;
  AddMerges(model, spec);
  return spec;
}

using AddedTokens = std::map<int32_t, AddedToken>;  // By id.

// Control pieces are special tokens of the text as it comes; pieces defined by users are cut out of
// the text with its spaces written as marks.
AddedTokens TokensOfPieces(const SentencePieceModel& model) {
  AddedTokens tokens;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    bool special = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown;
    if (!special && piece.type != PieceType::kUserDefined) continue;
    auto number = static_cast<int32_t>(id);
    tokens[number] = {.id = number,
                      .content = piece.text,
                      .text = piece.text,
                      .special = special,
                      .normalized = !special};
  }
  return tokens;
}

// "added_tokens_decoder" of tokenizer_config.json: id to token. Matched in the text as it comes,
// whatever `normalized` says, as transformers does without tokenizer.json.
absl::Status ReadTokensDecoder(const JsonNode& config, AddedTokens& tokens) {
  if (!config.Has("added_tokens_decoder")) return absl::OkStatus();
  ASSIGN_OR_RETURN(JsonNode list, config.Get("added_tokens_decoder"));
  if (!list.value().is_object()) return list.Error("must be an object of id to token");
  for (const auto& [key, value] : list.value().items()) {
    JsonNode node(value, absl::StrCat(list.path(), "[\"", key, "\"]"));
    AddedToken token;
    if (!absl::SimpleAtoi(key, &token.id) || token.id < 0 || token.id >= kTokenIdLimit) {
      return node.Error(absl::StrCat("the id must be at least 0 and below ", kTokenIdLimit));
    }
    ASSIGN_OR_RETURN(token.content, StringField(node, "content"));
    for (auto [name, flag] : {std::pair{"special", &token.special},
                              {"lstrip", &token.lstrip},
                              {"rstrip", &token.rstrip},
                              {"single_word", &token.single_word}}) {
      ASSIGN_OR_RETURN(*flag, OptionalFlag(node, name, false));
    }
    token.text = token.content;
    tokens[token.id] = std::move(token);
  }
  return absl::OkStatus();
}

// added_tokens.json: content to id. Says nothing of flags, so what is known already stays.
absl::Status ReadAddedTokens(const JsonNode& file, AddedTokens& tokens) {
  if (!file.value().is_object()) return file.Error("must be an object of token to id");
  for (const auto& [content, value] : file.value().items()) {
    JsonNode node(value, absl::StrCat(file.path(), "[\"", content, "\"]"));
    ASSIGN_OR_RETURN(int32_t id, node.Index(kTokenIdLimit));
    tokens.try_emplace(id, AddedToken{.id = id, .content = content, .text = content});
  }
  return absl::OkStatus();
}

absl::StatusOr<nlohmann::json> ParseOptional(std::string_view text, const char* name) {
  if (text.empty()) return nlohmann::json::object();
  absl::StatusOr<nlohmann::json> document = ParseJson({text.data(), text.size()});
  if (document.ok()) return document;
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", document.status().message()));
}

// The id of the token that `config` names under `key`, else `otherwise`. A token is a string, or an
// object with its content.
absl::StatusOr<int32_t> NamedToken(const JsonNode& config, const char* key,
                                   const TokenizerSpec& spec, int32_t otherwise) {
  if (!config.Has(key)) return otherwise;
  ASSIGN_OR_RETURN(JsonNode node, config.Get(key));
  if (node.value().is_object()) {
    ASSIGN_OR_RETURN(node, node.Get("content"));
  }
  ASSIGN_OR_RETURN(std::string content, node.String());
  for (const AddedToken& token : spec.added_tokens) {
    if (token.content == content) return token.id;
  }
  for (const auto& [text, id] : spec.model.vocab) {
    if (text == content) return id;
  }
  return node.Error(absl::StrCat("no token is \"", content, "\""));
}

absl::Status AddEnds(const JsonNode& config, const SentencePieceModel& model, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(bool add_bos, OptionalFlag(config, "add_bos_token", true));
  ASSIGN_OR_RETURN(bool add_eos, OptionalFlag(config, "add_eos_token", false));
  ASSIGN_OR_RETURN(int32_t bos, NamedToken(config, "bos_token", spec, model.bos_id));
  ASSIGN_OR_RETURN(int32_t eos, NamedToken(config, "eos_token", spec, model.eos_id));
  if (add_bos && bos >= 0) spec.prefix.push_back(bos);
  if (add_eos && eos >= 0) spec.suffix.push_back(eos);
  return absl::OkStatus();
}

// Before every stretch of text a space, or (`legacy` false) before the first one only.
absl::Status AddTextSteps(const JsonNode& config, const SentencePieceModel& model,
                          TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(bool prefix, OptionalFlag(config, "add_prefix_space", model.add_dummy_prefix));
  ASSIGN_OR_RETURN(bool legacy, OptionalFlag(config, "legacy", true));
  if (model.remove_extra_spaces) {
    spec.normalizers.emplace_back(ReplaceRule{" {2,}", /*literal=*/false, " "});
    spec.normalizers.emplace_back(ReplaceRule{"\\A | \\z", /*literal=*/false, ""});
  }
  if (prefix) spec.normalizers.emplace_back(PrependRule{kMark, /*first_only=*/!legacy});
  spec.normalizers.emplace_back(ReplaceRule{" ", /*literal=*/true, kMark});
  if (prefix || model.remove_extra_spaces) {
    spec.decoders.emplace_back(DecoderStrip{.content = kMark, .start = 1, .first_only = true});
  }
  spec.decoders.emplace_back(ReplaceRule{kMark, /*literal=*/true, " "});
  spec.decoders.emplace_back(ByteFallbackStep{.lenient = true});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerSpec> SpecOfSentencePiece(std::string_view model_bytes,
                                                  std::string_view config_json,
                                                  std::string_view added_tokens_json) {
  ASSIGN_OR_RETURN(SentencePieceModel model, ParseSentencePieceModel(model_bytes));
  RETURN_IF_ERROR(CheckModel(model));
  ASSIGN_OR_RETURN(nlohmann::json config_file, ParseOptional(config_json, "tokenizer_config.json"));
  ASSIGN_OR_RETURN(nlohmann::json added_file,
                   ParseOptional(added_tokens_json, "added_tokens.json"));
  JsonNode config(config_file, "tokenizer_config");
  TokenizerSpec spec;
  spec.model = MakeBpe(model);
  AddedTokens tokens = TokensOfPieces(model);
  RETURN_IF_ERROR(ReadTokensDecoder(config, tokens));
  RETURN_IF_ERROR(ReadAddedTokens(JsonNode(added_file, "added_tokens"), tokens));
  for (auto& [id, token] : tokens) spec.added_tokens.push_back(std::move(token));
  RETURN_IF_ERROR(AddEnds(config, model, spec));
  RETURN_IF_ERROR(AddTextSteps(config, model, spec));
  return spec;
}

}  // namespace regatta
