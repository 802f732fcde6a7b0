// The pipeline: added tokens, normalisation, pieces, byte-pair encoding, post-processing.
#include "common/text/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "common/text/added_token_matcher.h"
#include "common/text/bpe.h"
#include "common/text/normalizer.h"
#include "common/text/pre_tokenizer.h"
#include "common/text/tokenizer_spec.h"
#include "common/text/utf8.h"
#include "common/text/vocabulary.h"

namespace regatta {
namespace {

// The largest tokenizer.json in use is about 35 MB.
constexpr uintmax_t kMaxFileBytes = uintmax_t{256} << 20;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::error_code error;
  uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  if (size > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has ", size, " bytes, the limit is ", kMaxFileBytes));
  }
  std::ifstream file(path, std::ios::binary);
  std::string contents(std::istreambuf_iterator<char>(file), {});
  if (!file.good() && !file.eof())
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  return contents;
}

// Ids that the post-processor adds must belong to tokens, or the model would be fed rows that do
// not exist.
absl::Status CheckTemplate(const std::vector<int32_t>& ids, const Vocabulary& vocabulary) {
  for (int32_t id : ids) {
    if (!vocabulary.Contains(id)) {
      return absl::InvalidArgumentError(absl::StrCat("post_processor: no token has id ", id));
    }
  }
  return absl::OkStatus();
}

void NormalizeAddedTokens(TokenizerSpec& spec) {
  for (AddedToken& token : spec.added_tokens) {
    std::string storage;
    token.text =
        token.normalized ? Normalize(spec.normalizers, token.content, storage) : token.content;
  }
}

}  // namespace

struct Tokenizer::Parts {
  explicit Parts(Vocabulary tokens) : vocabulary(std::move(tokens)) {}

  absl::Status Build(const TokenizerSpec& spec);

  Vocabulary vocabulary;
  AddedTokenMatcher verbatim;    // Tokens matched in the text as it came.
  AddedTokenMatcher normalized;  // Tokens matched after normalisation.
  std::vector<UnicodeForm> normalizers;
  PreTokenizer pre_tokenizer;
  std::optional<BpeModel> model;
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

absl::Status Tokenizer::Parts::Build(const TokenizerSpec& spec) {
  std::vector<AddedToken> plain, to_normalize;
  for (const AddedToken& token : spec.added_tokens) {
    (token.normalized ? to_normalize : plain).push_back(token);
  }
  ASSIGN_OR_RETURN(verbatim, AddedTokenMatcher::Create(std::move(plain)));
  ASSIGN_OR_RETURN(normalized, AddedTokenMatcher::Create(std::move(to_normalize)));
  normalizers = spec.normalizers;
  ASSIGN_OR_RETURN(pre_tokenizer, PreTokenizer::Create(spec.pre_tokenizers));
  ASSIGN_OR_RETURN(model, BpeModel::Create(spec.model, vocabulary));
  RETURN_IF_ERROR(CheckTemplate(spec.prefix, vocabulary));
  RETURN_IF_ERROR(CheckTemplate(spec.suffix, vocabulary));
  prefix = spec.prefix;
  suffix = spec.suffix;
  return absl::OkStatus();
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& path) {
  std::error_code ignored;
  bool is_directory = std::filesystem::is_directory(path, ignored);
  std::string file = is_directory ? absl::StrCat(path, "/tokenizer.json") : path;
  ASSIGN_OR_RETURN(std::string json, ReadFile(file));
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = FromJson(json);
  if (tokenizer.ok()) return tokenizer;
  return absl::Status(tokenizer.status().code(),
                      absl::StrCat(file, ": ", tokenizer.status().message()));
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(std::string_view json) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, ParseTokenizerJson(json));
  NormalizeAddedTokens(spec);
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::Create(spec));
  auto parts = std::make_unique<Parts>(std::move(vocabulary));
  RETURN_IF_ERROR(parts->Build(spec));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, bool add_special_tokens,
                                       bool parse_special) const {
  CHECK_LE(text.size(), kMaxTextBytes);
  std::string repaired, composed;
  if (!IsValidUtf8(text)) {
    AppendUtf8Lossy(text, repaired);
    text = repaired;
  }
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = parts_->prefix;
  Regex::Scratch regex_scratch;
  BpeModel::Scratch bpe_scratch;
  auto on_token = [&](int32_t id) { ids.push_back(id); };
  auto on_piece = [&](std::string_view piece) { parts_->model->Encode(piece, bpe_scratch, ids); };
  auto on_normal_text = [&](std::string_view part) {
    parts_->pre_tokenizer.Split(part, regex_scratch, on_piece);
  };
  auto on_text = [&](std::string_view part) {
    part = Normalize(parts_->normalizers, part, composed);
    parts_->normalized.Split(part, parse_special, on_normal_text, on_token);
  };
  parts_->verbatim.Split(text, parse_special, on_text, on_token);
  if (add_special_tokens) ids.insert(ids.end(), parts_->suffix.begin(), parts_->suffix.end());
  return ids;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const { return parts_->vocabulary.Bytes(id); }

bool Tokenizer::IsSpecial(int32_t id) const { return parts_->vocabulary.IsSpecial(id); }

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (int32_t id : ids) {
    if (skip_special_tokens && IsSpecial(id)) continue;
    bytes.append(TokenBytes(id));
  }
  if (IsValidUtf8(bytes)) return bytes;
  std::string text;
  AppendUtf8Lossy(bytes, text);
  return text;
}

int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }

std::optional<int32_t> Tokenizer::TokenId(std::string_view token) const {
  return parts_->vocabulary.Find(token);
}

}  // namespace regatta
