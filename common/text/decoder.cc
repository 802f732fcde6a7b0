// A chain of steps, each with what it holds back. Steps that look at one string alone are applied
// to every token at the start.
#include "common/text/decoder.h"

#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/text/utf8.h"

namespace regatta {
namespace {

constexpr std::string_view kReplacementCharacter = "\uFFFD";
constexpr size_t kBegun = SIZE_MAX;  // Held::count of a Strip behind whose beginning the text is

// The byte of "<0xE2>"; -1 for other strings.
int ByteOfToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  if (!absl::ascii_isxdigit(text[3]) || !absl::ascii_isxdigit(text[4])) return -1;
  return std::stoi(std::string(text.substr(3, 2)), nullptr, 16);
}

// Takes at most `limit` times `unit` off the beginning of `text`; how often it did.
size_t ConsumeLeading(std::string_view unit, size_t limit, std::string_view& text) {
  size_t count = 0;
  for (; count < limit && text.starts_with(unit); ++count) text.remove_prefix(unit.size());
  return count;
}

size_t ConsumeTrailing(std::string_view unit, size_t limit, std::string_view& text) {
  size_t count = 0;
  for (; count < limit && text.ends_with(unit); ++count) text.remove_suffix(unit.size());
  return count;
}

}  // namespace

absl::StatusOr<Decoder::Step> Decoder::CreateStep(const DecoderStep& spec) {
  Step step;
  if (std::holds_alternative<ByteLevelStep>(spec)) {
    step.kind = Kind::kByteLevel;
  } else if (const auto* bytes = std::get_if<ByteFallbackStep>(&spec)) {
    step.kind = Kind::kByteFallback;
    step.lenient = bytes->lenient;
  } else if (const auto* strip = std::get_if<DecoderStrip>(&spec)) {
    step.kind = Kind::kStrip;
    step.strip = *strip;
  } else if (const auto* replace = std::get_if<ReplaceRule>(&spec)) {
    step.kind = Kind::kReplace;
    ASSIGN_OR_RETURN(step.replacer, PatternReplacer::Create(*replace));
  } else if (const auto* metaspace = std::get_if<MetaspaceRule>(&spec)) {
    step.kind = Kind::kMetaspace;
    step.drops_first = metaspace->prepend != MetaspaceRule::Prepend::kNever;
    step.strip.content = metaspace->replacement;
    ASSIGN_OR_RETURN(step.replacer,
                     PatternReplacer::Create(ReplaceRule{metaspace->replacement, true, " "}));
  }
  return step;
}

absl::StatusOr<Decoder> Decoder::Create(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  Decoder decoder;
  decoder.vocabulary_ = &vocabulary;
  bool fused = false;
  for (const DecoderStep& one : spec.decoders) {
    ASSIGN_OR_RETURN(Step step, CreateStep(one));
    step.fused = fused;
    fused = fused || step.kind == Kind::kFuse || step.kind == Kind::kByteLevel;
    decoder.steps_.push_back(std::move(step));
  }
  RETURN_IF_ERROR(decoder.CheckOrder(spec.byte_level));
  decoder.Prepare();
  return decoder;
}

absl::Status Decoder::CheckOrder(bool byte_level) const {
  auto refuse = [](const char* what) {
    return absl::UnimplementedError(absl::StrCat("decoder: ", what, " is not supported"));
  };
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.kind == Kind::kByteLevel && (i > 0 || !byte_level)) {
      return refuse("ByteLevel behind other steps, or for pre-tokenizers that do not end in it,");
    }
    if (!step.fused) continue;
    if (step.kind == Kind::kByteFallback) return refuse("ByteFallback behind Fuse or ByteLevel");
    if (step.kind == Kind::kReplace && !step.replacer->is_single_character()) {
      return refuse("Replace of more than one character behind Fuse or ByteLevel");
    }
  }
  if (byte_level && (steps_.empty() || steps_[0].kind != Kind::kByteLevel)) {
    return refuse("other than ByteLevel for pre-tokenizers that end in ByteLevel");
  }
  return absl::OkStatus();
}

void Decoder::Prepare() {
  auto alone = [](const Step& step) {
    return step.kind == Kind::kReplace ||
           (step.kind == Kind::kStrip && !step.strip.first_only && !step.fused);
  };
  while (prepared_steps_ < steps_.size() && alone(steps_[prepared_steps_])) ++prepared_steps_;
  prepared_.resize(vocabulary_->size());
  bytes_.resize(vocabulary_->size());
  for (int32_t id = 0; id < vocabulary_->size(); ++id) {
    std::string_view written = vocabulary_->Bytes(id);
    prepared_[id] = bytes_[id] = written;
    std::string text(written);
    std::string storage;
    for (size_t i = 0; i < prepared_steps_; ++i) {
      const Step& step = steps_[i];
      std::string_view next = text;
      if (step.kind == Kind::kReplace) {
        next = step.replacer->Apply(text, storage);
      } else {
        ConsumeLeading(step.strip.content, step.strip.start, next);
        ConsumeTrailing(step.strip.content, step.strip.stop, next);
      }
      text = std::string(next);
    }
    if (text != written) prepared_[id] = arena_.emplace_back(text);
    std::string middle = InMiddle(text);
    bytes_[id] = middle == prepared_[id] ? prepared_[id] : arena_.emplace_back(std::move(middle));
  }
}

// What the steps that are not prepared make of a string that is not the first.
std::string Decoder::InMiddle(std::string text) const {
  std::string storage;
  for (size_t i = prepared_steps_; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.kind == Kind::kByteFallback) {
      int byte = ByteOfToken(text);
      if (byte >= 0) text = std::string(1, static_cast<char>(byte));
    } else if (step.kind == Kind::kReplace || step.kind == Kind::kMetaspace) {
      text = std::string(step.replacer->Apply(text, storage));
    } else if (step.kind == Kind::kStrip && !step.fused && !step.strip.first_only) {
      std::string_view rest = text;
      ConsumeLeading(step.strip.content, step.strip.start, rest);
      ConsumeTrailing(step.strip.content, step.strip.stop, rest);
      text = std::string(rest);
    }
  }
  return text;
}

void Decoder::Append(absl::Span<const int32_t> ids, bool skip_special_tokens, State& state,
                     std::string& out) const {
  state.steps.resize(steps_.size());
  const bool bytes = is_byte_level();
  std::string together;  // Bytes need not come one token at a time.
  for (int32_t id : ids) {
    if (!vocabulary_->Contains(id) || (skip_special_tokens && vocabulary_->IsSpecial(id))) continue;
    if (bytes) {
      together.append(prepared_[id]);
    } else {
      Push(prepared_steps_, prepared_[id], state, out);
    }
  }
  if (bytes) Push(prepared_steps_, together, state, out);
}

void Decoder::Finish(State& state, std::string& out) const {
  state.steps.resize(steps_.size());
  for (size_t i = prepared_steps_; i < steps_.size(); ++i) FinishStep(i, state, out);
  state.steps.clear();
}

Decoder::State Decoder::Middle() const {
  State state;
  for (const Step& step : steps_) {
    state.steps.push_back(
        {.text = {}, .count = step.kind == Kind::kStrip && step.fused ? kBegun : 1});
  }
  return state;
}

bool Decoder::HoldsBytes(const State& state) const {
  for (size_t i = 0; i < state.steps.size(); ++i) {
    const bool bytes = steps_[i].kind == Kind::kByteLevel || steps_[i].kind == Kind::kByteFallback;
    if (bytes && !state.steps[i].text.empty()) return true;
  }
  return false;
}

void Decoder::Push(size_t index, std::string_view text, State& state, std::string& out) const {
  if (index == steps_.size()) {
    out.append(text);
    return;
  }
  const Step& step = steps_[index];
  Held& held = state.steps[index];
  std::string storage;
  switch (step.kind) {
    case Kind::kByteLevel:
      PushByteLevel(index, text, state, out);
      return;
    case Kind::kByteFallback:
      if (int byte = ByteOfToken(text); byte >= 0) {
        held.text.push_back(static_cast<char>(byte));
        if (step.lenient) FlushBytes(index, /*finish=*/false, state, out);
        return;
      }
      FlushBytes(index, /*finish=*/true, state, out);
      Push(index + 1, text, state, out);
      return;
    case Kind::kFuse:
      Push(index + 1, text, state, out);
      return;
    case Kind::kStrip:
      PushStrip(index, text, state, out);
      return;
    case Kind::kReplace:
      Push(index + 1, step.replacer->Apply(text, storage), state, out);
      return;
    case Kind::kMetaspace: {
      // Behind Fuse all parts belong to the first string.
      bool first = step.drops_first && (step.fused || held.count == 0);
      held.count = 1;
      std::string kept(step.replacer->Apply(text, storage));
      if (first) {
        kept.assign(text);
        for (size_t at; (at = kept.find(step.strip.content)) != std::string::npos;) {
          kept.erase(at, step.strip.content.size());
        }
      }
      Push(index + 1, kept, state, out);
      return;
    }
  }
}

void Decoder::FinishStep(size_t index, State& state, std::string& out) const {
  const Step& step = steps_[index];
  if (step.kind == Kind::kByteFallback) FlushBytes(index, /*finish=*/true, state, out);
  if (step.kind != Kind::kByteLevel) return;  // What Strip holds was to go.
  std::string text;
  AppendUtf8Lossy(std::exchange(state.steps[index].text, {}), text);
  if (!text.empty()) Push(index + 1, text, state, out);
}

// Passes on up to the last byte that is certain.
void Decoder::PushByteLevel(size_t index, std::string_view bytes, State& state,
                            std::string& out) const {
  std::string joined;
  std::string& held = state.steps[index].text;
  if (!held.empty()) {
    joined = std::exchange(held, {});
    bytes = joined.append(bytes);
  }
  std::string_view certain = bytes.substr(0, bytes.size() - IncompleteUtf8Suffix(bytes));
  held = bytes.substr(certain.size());
  if (IsValidUtf8(certain)) return Push(index + 1, certain, state, out);
  std::string text;
  AppendUtf8Lossy(certain, text);
  Push(index + 1, text, state, out);
}

// Passes the run of byte tokens on, or, without `finish`, what is certain of it.
void Decoder::FlushBytes(size_t index, bool finish, State& state, std::string& out) const {
  std::string& held = state.steps[index].text;
  std::string run = std::exchange(held, {});
  if (!finish) {
    size_t certain = run.size() - IncompleteUtf8Suffix(run);
    held = run.substr(certain);
    run.resize(certain);
  }
  if (run.empty()) return;
  std::string text;
  if (IsValidUtf8(run)) {
    text = std::move(run);
  } else if (steps_[index].lenient) {
    AppendUtf8PerByte(run, text);
  } else {
    for (size_t i = 0; i < run.size(); ++i) text.append(kReplacementCharacter);
  }
  Push(index + 1, text, state, out);
}

void Decoder::PushStrip(size_t index, std::string_view text, State& state, std::string& out) const {
  const Step& step = steps_[index];
  if (step.fused) return StripStream(index, text, state, out);
  if (!step.strip.first_only || state.steps[index].count == 0) {
    ConsumeLeading(step.strip.content, step.strip.start, text);
    ConsumeTrailing(step.strip.content, step.strip.stop, text);
    state.steps[index].count = 1;
  }
  Push(index + 1, text, state, out);
}

// `count` is how many characters went at the beginning, kBegun once another came; the text held
// goes if nothing comes behind it.
void Decoder::StripStream(size_t index, std::string_view text, State& state,
                          std::string& out) const {
  const DecoderStrip& strip = steps_[index].strip;
  Held& held = state.steps[index];
  if (held.count != kBegun) {
    held.count += ConsumeLeading(strip.content, strip.start - held.count, text);
    if (text.empty()) return;
    held.count = kBegun;
  }
  if (strip.stop == 0) return Push(index + 1, text, state, out);
  held.text.append(text);
  std::string_view kept = held.text;
  ConsumeTrailing(strip.content, strip.stop, kept);
  std::string released(kept);
  held.text.erase(0, released.size());
  if (!released.empty()) Push(index + 1, released, state, out);
}

}  // namespace regatta
