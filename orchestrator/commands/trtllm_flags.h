// trtllm-serve's flags that `regatta serve` has no use for, so that its command lines work as they
// are, or say what about them does not.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace regatta {

// What was given of them.
struct TrtllmFlags {
  std::vector<std::string> without_effect;  // "--log-level"
  std::string tokenizer;
};

// Adds them, unshown: what changes no answer is noted, what would is refused by name.
std::shared_ptr<TrtllmFlags> AddTrtllmFlags(CLI::App& command);

// Once all is parsed: refuses (CLI::ValidationError) the tokenizer of another model than `model`.
void CheckTokenizerFlag(TrtllmFlags& flags, const std::string& model);

}  // namespace regatta
