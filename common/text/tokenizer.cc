// The pipeline: added tokens, normalisation, pieces, byte-pair encoding, post-processing.
#include "common/text/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
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
#include "common/text/sentencepiece_model.h"
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

// The contents of a file that need not be there; empty without it.
absl::StatusOr<std::string> ReadOptionalFile(const std::string& path) {
  absl::StatusOr<std::string> contents = ReadFile(path);
  if (absl::IsNotFound(contents.status())) return std::string();
  return contents;
}

// The tokenizer file that `path` means.
std::filesystem::path FindFile(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  std::filesystem::path json = path / "tokenizer.json", model = path / "tokenizer.model";
  bool only_model =
      !std::filesystem::exists(json, ignored) && std::filesystem::exists(model, ignored);
  return only_model ? model : json;
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

absl::Status NormalizeAddedTokens(TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(Normalizer normalizer, Normalizer::Create(spec.normalizers));
  Normalizer::Scratch scratch;
  for (AddedToken& token : spec.added_tokens) {
    token.text =
        token.normalized ? normalizer.Apply(token.content, /*first=*/true, scratch) : token.content;
  }
  return absl::OkStatus();
}

// Working memory of one call.
struct Scratch {
  Normalizer::Scratch normalizer;
  Regex::Scratch regex;
  BpeModel::Scratch bpe;
};

// Scratch for calls at the same time, kept from one call to the next with the words it has seen.
class ScratchPool {
 public:
  std::unique_ptr<Scratch> Take() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Scratch>();
    std::unique_ptr<Scratch> scratch = std::move(free_.back());
    free_.pop_back();
    return scratch;
  }

  void GiveBack(std::unique_ptr<Scratch> scratch) {
    std::lock_guard lock(mutex_);
    if (free_.size() < kMostKept) free_.push_back(std::move(scratch));
  }

 private:
  static constexpr size_t kMostKept = 32;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> free_;
};

}  // namespace

struct Tokenizer::Parts {
  explicit Parts(Vocabulary tokens) : vocabulary(std::move(tokens)) {}

  absl::Status Build(const TokenizerSpec& spec);

  Vocabulary vocabulary;
  AddedTokenMatcher verbatim;    // Tokens matched in the text as it came.
  AddedTokenMatcher normalized;  // Tokens matched after normalisation.
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::optional<BpeModel> model;
  Decoder decoder;
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
  size_t max_token_bytes = 0;
  ScratchPool scratches;  // Guarded by itself.
};

absl::Status Tokenizer::Parts::Build(const TokenizerSpec& spec) {
  std::vector<AddedToken> plain, to_normalize;
  for (const AddedToken& token : spec.added_tokens) {
    (token.normalized ? to_normalize : plain).push_back(token);
  }
  ASSIGN_OR_RETURN(verbatim, AddedTokenMatcher::Create(std::move(plain)));
  ASSIGN_OR_RETURN(normalized, AddedTokenMatcher::Create(std::move(to_normalize)));
  ASSIGN_OR_RETURN(normalizer, Normalizer::Create(spec.normalizers));
  ASSIGN_OR_RETURN(pre_tokenizer, PreTokenizer::Create(spec.pre_tokenizers));
  ASSIGN_OR_RETURN(model, BpeModel::Create(spec.model, spec.byte_level, vocabulary));
  ASSIGN_OR_RETURN(decoder, Decoder::Create(spec, vocabulary));
  RETURN_IF_ERROR(CheckTemplate(spec.prefix, vocabulary));
  RETURN_IF_ERROR(CheckTemplate(spec.suffix, vocabulary));
  prefix = spec.prefix;
  suffix = spec.suffix;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    max_token_bytes = std::max(max_token_bytes, decoder.TokenBytes(id).size());
  }
  return absl::OkStatus();
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& path) {
  std::filesystem::path file = FindFile(path);
  ASSIGN_OR_RETURN(std::string contents, ReadFile(file));
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer;
  if (file.extension() == ".model") {
    std::filesystem::path folder = file.parent_path();
    ASSIGN_OR_RETURN(std::string config, ReadOptionalFile(folder / "tokenizer_config.json"));
    ASSIGN_OR_RETURN(std::string added, ReadOptionalFile(folder / "added_tokens.json"));
    tokenizer = FromSentencePiece(contents, config, added);
  } else {
    tokenizer = FromJson(contents);
  }
  if (tokenizer.ok()) return tokenizer;
  return absl::Status(tokenizer.status().code(),
                      absl::StrCat(file.string(), ": ", tokenizer.status().message()));
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromSentencePiece(
    std::string_view model, std::string_view config_json, std::string_view added_tokens_json) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, SpecOfSentencePiece(model, config_json, added_tokens_json));
  return FromSpec(spec);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(std::string_view json) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, ParseTokenizerJson(json));
  RETURN_IF_ERROR(NormalizeAddedTokens(spec));
  return FromSpec(spec);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromSpec(const TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::Create(spec));
  auto parts = std::make_unique<Parts>(std::move(vocabulary));
  RETURN_IF_ERROR(parts->Build(spec));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, bool add_special_tokens,
                                       bool parse_special) const {
  CHECK_LE(text.size(), kMaxTextBytes);
  std::string repaired;
  if (!IsValidUtf8(text)) {
    AppendUtf8Lossy(text, repaired);
    text = repaired;
  }
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = parts_->prefix;
  std::unique_ptr<Scratch> scratch = parts_->scratches.Take();
  bool begins_part = true, first = true;  // Whether a stretch of text begins the input.
  auto on_token = [&](int32_t id) {
    ids.push_back(id);
    begins_part = first = false;
  };
  auto on_piece = [&](std::string_view piece) { parts_->model->Encode(piece, scratch->bpe, ids); };
  auto on_normal_text = [&](std::string_view part) {
    parts_->pre_tokenizer.Split(part, first && begins_part, scratch->regex, on_piece);
    begins_part = false;
  };
  auto on_text = [&](std::string_view part) {
    first = part.data() == text.data();
    begins_part = true;
    part = parts_->normalizer.Apply(part, first, scratch->normalizer);
    parts_->normalized.Split(part, parse_special, on_normal_text, on_token);
  };
  parts_->verbatim.Split(text, parse_special, on_text, on_token);
  parts_->scratches.GiveBack(std::move(scratch));
  if (add_special_tokens) ids.insert(ids.end(), parts_->suffix.begin(), parts_->suffix.end());
  return ids;
}

size_t Tokenizer::prefix_size() const { return parts_->prefix.size(); }

size_t Tokenizer::suffix_size() const { return parts_->suffix.size(); }

std::string_view Tokenizer::TokenBytes(int32_t id) const { return parts_->decoder.TokenBytes(id); }

size_t Tokenizer::max_token_bytes() const { return parts_->max_token_bytes; }

bool Tokenizer::IsSpecial(int32_t id) const { return parts_->vocabulary.IsSpecial(id); }

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special_tokens) const {
  Decoder::State state;
  std::string text;
  parts_->decoder.Append(ids, skip_special_tokens, state, text);
  parts_->decoder.Finish(state, text);
  return text;
}

const Decoder& Tokenizer::decoder() const { return parts_->decoder; }

int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }

std::optional<int32_t> Tokenizer::TokenId(std::string_view token) const {
  return parts_->vocabulary.Find(token);
}

}  // namespace regatta
