// See trtllm_flags.h.
#include "orchestrator/commands/trtllm_flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

namespace regatta {
namespace {

constexpr char kTokenizer[] = "--tokenizer";

constexpr const char* kWithoutEffect[] = {
    "--cluster-size",         "--custom-module-dirs",
    "--gpus-per-node",        "--log-level",
    "--media-io-kwargs",      "--num-postprocess-workers",
    "--otlp-traces-endpoint", "--video-pruning-rate",
};
constexpr const char* kBareWithoutEffect[] = {
    "--enable-chunked-prefill",  // they always are
    "--fail-fast-on-attention-window-too-large",
};

struct RefusedFlag {
  const char* names;
  const char* allowed;  // the value that asks for nothing; empty = none
  const char* why;
};
constexpr RefusedFlag kRefused[] = {
    {"--max-beam-width", "1", "there is no beam search; give 1, or leave it out"},
    {"--cp-size", "1", "there is no context parallelism; give 1, or leave it out, and raise --tp"},
    {"--reasoning-parser", "",
     "answers come as the model writes them, its thoughts within; leave it out, and let clients "
     "part them"},
    {"--custom-tokenizer", "", "no model's code is ever run; the model's tokenizer.json is read"},
    {"--chat-template", "",
     "the model's own is used; put yours into the model's directory as chat_template.jinja"},
    {"--revision,--hf-revision", "main",
     "serve the directory that `regatta pull MODEL --revision ...` prints"},
    {"--metadata-server-config-file", "", "prefill and decoding are never served apart"},
    {"--server-role", "", "prefill and decoding are never served apart"},
    {"--disagg-cluster-uri", "", "prefill and decoding are never served apart"},
};

}  // namespace

// A value that is missing is taken as empty: the library could not name a flag that is not shown.
std::shared_ptr<TrtllmFlags> AddTrtllmFlags(CLI::App& command) {
  auto flags = std::make_shared<TrtllmFlags>();
  const auto note = [flags](const std::string& name) { flags->without_effect.push_back(name); };
  for (const char* name : kWithoutEffect) {
    command.add_option_function<std::string>(name, [=](const std::string&) { note(name); })
        ->expected(0, 1)
        ->group("");
  }
  for (const char* name : kBareWithoutEffect) {
    command.add_flag_callback(name, [=] { note(name); })->group("");
  }
  for (const RefusedFlag& flag : kRefused) {
    const std::string names = flag.names, name = names.substr(0, names.find(','));
    command.add_option_function<std::string>(names, [=](const std::string&) { note(name); })
        ->check([=](const std::string& value) -> std::string {
          if (*flag.allowed != '\0' && value == flag.allowed) return "";
          return absl::StrCat(name, " '", value, "': ", flag.why);
        })
        ->expected(0, 1)
        ->group("");
  }
  command
      .add_flag_callback("--grpc",
                         [] {
                           throw CLI::ValidationError(
                               "--grpc",
                               "its protocol is not spoken; leave it out: regatta's own "
                               "gRPC is served beside HTTP");
                         })
      ->group("");
  command.add_option(kTokenizer, flags->tokenizer)->expected(0, 1)->group("");
  return flags;
}

void CheckTokenizerFlag(TrtllmFlags& flags, const std::string& model) {
  if (flags.tokenizer.empty()) return;
  if (flags.tokenizer != model) {
    throw CLI::ValidationError(
        kTokenizer, absl::StrCat("'", flags.tokenizer,
                                 "' is not the model's own, which is always used; leave it out, or "
                                 "put its files into the model's directory"));
  }
  flags.without_effect.push_back(kTokenizer);
}

}  // namespace regatta
