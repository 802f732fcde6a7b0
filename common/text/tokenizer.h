// Text to token ids and back, from a Hugging Face tokenizer.json or a sentencepiece tokenizer.model
// (BPE over bytes or characters). Knows no requests and no chat templates.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/text/decoder.h"

namespace regatta {

// Gives the ids of the `tokenizers` library, but for characters so new that only one side's Unicode
// tables know them, and runs of more than 512 combining marks. Immutable and safe to share between
// threads.
class Tokenizer {
 public:
  // Reads `path`: a tokenizer.json, a tokenizer.model (sentencepiece) with the
  // tokenizer_config.json and added_tokens.json beside it, or a directory that holds one of them,
  // tokenizer.json first. NOT_FOUND, INVALID_ARGUMENT naming the field, or UNIMPLEMENTED naming the
  // component that is not supported.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& path);

  // The same from the contents of tokenizer.json.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromJson(std::string_view json);

  // The same from the contents of tokenizer.model; the other two may be empty.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromSentencePiece(
      std::string_view model, std::string_view config_json, std::string_view added_tokens_json);

  ~Tokenizer();

  // Token ids of `text` (at most kMaxTextBytes; ill-formed UTF-8 counts as U+FFFD).
  // `add_special_tokens` puts the post-processor's tokens around it (BOS, say). `parse_special`:
  // special tokens written in the text become tokens; otherwise they are plain text, as text from
  // users should be.
  std::vector<int32_t> Encode(std::string_view text, bool add_special_tokens,
                              bool parse_special = true) const;

  // How many tokens `add_special_tokens` puts before and behind a text.
  size_t prefix_size() const;
  size_t suffix_size() const;

  // Bytes of one token in the middle of a text, maybe only a part of a UTF-8 sequence; the content
  // of an added token (in normal form where it is `normalized`); empty for unknown ids. Lives as
  // long as the tokenizer.
  std::string_view TokenBytes(int32_t id) const;

  // Bytes of the longest token: a text has at least its length / these tokens, unless
  // normalisation makes it shorter (composed characters: to a third at most).
  size_t max_token_bytes() const;

  bool IsSpecial(int32_t id) const;

  // The text of `ids` as the decoder puts it together, ill-formed UTF-8 replaced by U+FFFD. Unknown
  // ids give nothing.
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special_tokens) const;

  // What Decode runs on, for texts that grow (common/text/detokenizer).
  const Decoder& decoder() const;

  // One more than the highest id; ids in between may be unused.
  int32_t vocab_size() const;

  // The id of a token as tokenizer.json writes it: "<|eot_id|>", "Ġthe".
  std::optional<int32_t> TokenId(std::string_view token) const;

  // Longest text that Encode takes, far above what any request may carry (CHECKed).
  static constexpr size_t kMaxTextBytes = size_t{1} << 30;

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromSpec(const TokenizerSpec& spec);

  std::unique_ptr<Parts> parts_;
};

}  // namespace regatta
