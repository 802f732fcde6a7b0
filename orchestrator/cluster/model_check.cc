// One file after the other, the small ones first; see model_check.h.
#include "orchestrator/cluster/model_check.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/checkpoint/checkpoint_check.h"
#include "common/model_spec.h"
#include "common/quantization.h"
#include "common/status_macros.h"
#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"
#include "orchestrator/hub/model_files.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

// "org/name" of a snapshot in the Hugging Face cache, .../models--org--name/snapshots/<commit>;
// empty elsewhere.
std::string RepositoryOf(const std::string& model_dir) {
  std::error_code error;
  fs::path path = fs::absolute(model_dir, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.parent_path().filename() != "snapshots") return "";
  const std::string folder = path.parent_path().parent_path().filename();
  const std::vector<std::string> parts = absl::StrSplit(folder, "--");
  if (parts.size() != 3 || parts[0] != "models") return "";
  return absl::StrCat(parts[1], "/", parts[2]);
}

// What is wrong, and where whole files come from.
absl::Status WithRemedy(const absl::Status& status, const std::string& model_dir) {
  if (status.ok()) return status;
  const std::string repository = RepositoryOf(model_dir);
  const bool missing = absl::IsNotFound(status);
  std::string remedy;
  if (repository.empty()) {
    remedy = absl::StrCat(missing ? "copy what is missing" : "copy the file again",
                          " from where the model came from, or `regatta pull ORG/NAME` it");
  } else {
    remedy = absl::StrCat(missing ? "" : "remove the file and what it links to, then ",
                          "`regatta pull ", repository, "` fetches what is missing");
  }
  return absl::Status(status.code(), absl::StrCat(status.message(), "; ", remedy));
}

// Models without a tokenizer serve token ids alone, those without a template texts.
template <typename Loaded>
absl::Status UnlessAbsent(const absl::StatusOr<Loaded>& loaded) {
  return absl::IsNotFound(loaded.status()) ? absl::OkStatus() : loaded.status();
}

absl::Status CheckWeights(const ClusterOptions& options, const ModelSpec& spec) {
  const absl::Status status = CheckCheckpoint(options.model, spec);
  // What is not supported is no better in another copy.
  return absl::IsUnimplemented(status) ? status : WithRemedy(status, options.model);
}

}  // namespace

absl::Status CheckModelFiles(const ClusterOptions& options) {
  std::error_code error;
  absl::StatusOr<ModelSpec> spec = LoadModelSpec(options.model);
  if (absl::IsNotFound(spec.status()) && fs::is_directory(options.model, error)) {
    return WithRemedy(spec.status(), options.model);
  }
  RETURN_IF_ERROR(spec.status());
  ASSIGN_OR_RETURN(
      spec->quantization,
      ResolveQuantization(options.quantization, options.dummy_weights, spec->quantization));
  RETURN_IF_ERROR(UnlessAbsent(Tokenizer::Load(options.model)));
  return options.dummy_weights ? absl::OkStatus() : CheckWeights(options, *spec);
}

absl::Status CheckTextFiles(const std::string& model_dir) {
  if (HasTokenizer(model_dir)) return UnlessAbsent(ChatTemplate::Load(model_dir));
  return absl::FailedPreconditionError(
      absl::StrCat(model_dir,
                   " has no tokenizer.json: an API of text needs one (regatta sweep "
                   "and throughput do not)"));
}

}  // namespace regatta
