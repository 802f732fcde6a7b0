// Where the Hub is, who we are there, and where its files are kept: the environment variables that
// huggingface_hub reads too.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/http/http_url.h"

namespace regatta {

struct HubSettings {
  HttpUrl endpoint;   // HF_ENDPOINT, else https://huggingface.co
  std::string token;  // HF_TOKEN, else the file that `huggingface-cli login` writes; may be empty
  std::string cache_dir;  // HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub
  bool offline = false;   // HF_HUB_OFFLINE
};

// INVALID_ARGUMENT names a variable that cannot be used.
absl::StatusOr<HubSettings> ReadHubSettings();

}  // namespace regatta
