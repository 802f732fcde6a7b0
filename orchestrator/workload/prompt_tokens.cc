// Vocabulary and prompt encoding; see prompt_tokens.h.
#include "orchestrator/workload/prompt_tokens.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/input_file.h"
#include "common/model_spec.h"
#include "common/status_macros.h"
#include "common/text/tokenizer.h"

namespace regatta {
namespace {

bool IsOrdinary(const Tokenizer& tokenizer, uint32_t id) {
  return !tokenizer.IsSpecial(id) && !tokenizer.TokenBytes(id).empty();
}

}  // namespace

absl::StatusOr<std::vector<uint32_t>> LoadOrdinaryTokens(const std::string& model_dir,
                                                         const std::string& tokenizer_dir) {
  const std::string& text_dir = tokenizer_dir.empty() ? model_dir : tokenizer_dir;
  uint32_t vocab_size = 0;
  std::vector<uint32_t> eos;
  if (HasFile(model_dir, "config.json")) {
    ASSIGN_OR_RETURN(const ModelSpec spec, LoadModelSpec(model_dir));
    vocab_size = spec.vocab_size;
    eos = spec.eos_token_ids;
  }
  std::unique_ptr<Tokenizer> tokenizer;
  if (HasFile(text_dir, "tokenizer.json")) {
    ASSIGN_OR_RETURN(tokenizer, Tokenizer::Load(text_dir));
    const uint32_t known = tokenizer->vocab_size();
    vocab_size = vocab_size == 0 ? known : std::min(vocab_size, known);
  }
  if (vocab_size == 0) {
    return absl::NotFoundError(absl::StrCat("neither config.json in '", model_dir,
                                            "' nor tokenizer.json in '", text_dir,
                                            "': give --model DIR or --tokenizer DIR"));
  }
  std::vector<uint32_t> ids;
  for (uint32_t id = 0; id < vocab_size; ++id) {
    if (std::find(eos.begin(), eos.end(), id) != eos.end()) continue;
    if (tokenizer == nullptr || IsOrdinary(*tokenizer, id)) ids.push_back(id);
  }
  return ids;
}

std::vector<uint32_t> EncodePrompt(const Tokenizer& tokenizer, const std::string& prompt) {
  const std::vector<int32_t> ids = tokenizer.Encode(prompt, /*add_special_tokens=*/true);
  // Chat templates write the begin token into the text; the tokenizer would double it.
  const bool doubled = ids.size() > 1 && ids[0] == ids[1] && tokenizer.IsSpecial(ids[0]);
  return std::vector<uint32_t>(ids.begin() + (doubled ? 1 : 0), ids.end());
}

absl::Status TokenizePrompts(const std::string& model_dir, Dataset& dataset) {
  const auto is_text = [](const DatasetEntry& entry) { return entry.input_ids.empty(); };
  if (std::none_of(dataset.entries.begin(), dataset.entries.end(), is_text)) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(model_dir));
  for (DatasetEntry& entry : dataset.entries) {
    if (!is_text(entry)) continue;
    entry.input_ids = EncodePrompt(*tokenizer, entry.prompt);
    if (entry.input_ids.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(PlaceOf(dataset, entry), ": the prompt has no token"));
    }
    entry.prompt.clear();
    for (DatasetTurn& turn : entry.next_turns) {
      const std::vector<int32_t> ids = tokenizer->Encode(turn.prompt, /*add_special_tokens=*/false);
      turn.input_ids.assign(ids.begin(), ids.end());
      if (turn.input_ids.empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat(PlaceOf(dataset, entry), ": a turn's prompt has no token"));
      }
      turn.prompt.clear();
    }
  }
  return absl::OkStatus();
}

}  // namespace regatta
