// A vocabulary of the size of published ones, made up: 128,000 words, numbers, runs of white space,
// punctuation of JSON and programs, and characters of several scripts, in about their proportions.
#pragma once

#include <memory>

#include "common/text/tokenizer.h"

namespace regatta {

// The same at every call; its end token is <|end|>.
std::unique_ptr<Tokenizer> MakeLargeVocabulary();

}  // namespace regatta
