// Mapping of files and shards; see safetensors.h.
#include "common/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/json_text.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

constexpr size_t kNamed = 5;  // missing things named in a message

// "a, b, c and 7 more".
std::string NameSome(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamed);
  const std::string list = absl::StrJoin(names.begin(), names.begin() + shown, ", ");
  if (shown == names.size()) return list;
  return absl::StrCat(list, " and ", names.size() - shown, " more");
}

// Relative and never upwards: an index must not make us read files outside its directory. Symbolic
// links stay allowed, the Hugging Face cache is made of them.
bool IsSafe(const std::string& file) {
  const std::filesystem::path path(file);
  const bool upwards = std::find(path.begin(), path.end(), "..") != path.end();
  return !file.empty() && path.is_relative() && !upwards && file.find('\0') == std::string::npos;
}

// Tensor names by the shard that holds them.
using ShardMap = std::map<std::string, std::vector<std::string>>;

absl::StatusOr<ShardMap> ParseIndex(absl::string_view text) {
  const absl::StatusOr<nlohmann::json> parsed = ParseJson(text);
  if (!parsed.ok())
    return absl::InvalidArgumentError(absl::StrCat("is ", parsed.status().message()));
  const nlohmann::json& index = *parsed;
  if (!index.is_object()) return absl::InvalidArgumentError("is not a JSON object");
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object()) {
    return absl::InvalidArgumentError("has no object weight_map");
  }
  ShardMap shards;
  for (const auto& [name, file] : weight_map->items()) {
    if (!file.is_string() || !IsSafe(file.get_ref<const std::string&>())) {
      return absl::InvalidArgumentError(
          absl::StrCat("places ", name.substr(0, 100), " in ", file.dump().substr(0, 100),
                       ", which is not a file below the model's directory"));
    }
    shards[file.get<std::string>()].push_back(name);
  }
  return shards;
}

absl::Status Annotate(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, " ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK: a FIFO of that name must not stop us.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  struct stat info = {};
  const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  void* data = nullptr;
  if (regular && info.st_size > 0) {
    data = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  const int error = errno;
  close(fd);
  if (!regular) return absl::InvalidArgumentError(absl::StrCat(path, " is not a regular file"));
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": cannot map ", info.st_size, " bytes: ", std::strerror(error)));
  }
  return std::unique_ptr<MappedFile>(new MappedFile(path, data, static_cast<size_t>(info.st_size)));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

absl::StatusOr<Checkpoint> Checkpoint::Open(const std::string& model_dir) {
  Checkpoint checkpoint;
  checkpoint.directory_ = model_dir;
  const std::string single = absl::StrCat(model_dir, "/model.safetensors");
  const std::string index = absl::StrCat(single, ".index.json");
  std::error_code error;
  if (std::filesystem::exists(single, error)) {
    RETURN_IF_ERROR(checkpoint.AddFile(single));
  } else if (std::filesystem::exists(index, error)) {
    RETURN_IF_ERROR(checkpoint.AddShards(model_dir, index));
  } else {
    return absl::NotFoundError(absl::StrCat(model_dir,
                                            " has no model.safetensors and no "
                                            "model.safetensors.index.json; other formats are not "
                                            "read"));
  }
  return checkpoint;
}

const StoredTensor* Checkpoint::Find(const std::string& name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

std::vector<std::string> Checkpoint::Names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, stored] : tensors_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status Checkpoint::AddFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file, MappedFile::Open(path));
  auto header = ParseSafetensorsHeader(file->bytes());
  if (!header.ok()) return Annotate(path, header.status());
  const char* data = file->bytes().data() + header->data_offset;
  for (TensorEntry& entry : header->entries) {
    StoredTensor tensor = {entry.type, std::move(entry.shape),
                           reinterpret_cast<const std::byte*>(data) + entry.begin,
                           entry.end - entry.begin, &file->path()};
    const auto [it, is_new] = tensors_.try_emplace(entry.name, std::move(tensor));
    if (!is_new) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " holds ", entry.name, ", which ", *it->second.path, " holds too"));
    }
  }
  files_.push_back(std::move(file));
  return absl::OkStatus();
}

absl::Status Checkpoint::AddShards(const std::string& model_dir, const std::string& index_path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> index, MappedFile::Open(index_path));
  auto shards = ParseIndex(index->bytes());
  if (!shards.ok()) return Annotate(index_path, shards.status());
  std::vector<std::string> missing;
  std::error_code error;
  for (const auto& [file, names] : *shards) {
    if (!std::filesystem::exists(absl::StrCat(model_dir, "/", file), error)) {
      missing.push_back(file);
    }
  }
  if (!missing.empty()) {
    return absl::NotFoundError(absl::StrCat(model_dir, " lacks ", missing.size(), " of ",
                                            shards->size(), " shards: ", NameSome(missing)));
  }
  for (const auto& [file, names] : *shards) {
    const std::string path = absl::StrCat(model_dir, "/", file);
    RETURN_IF_ERROR(AddFile(path));
    std::vector<std::string> lacking;
    for (const std::string& name : names) {
      const StoredTensor* tensor = Find(name);
      if (tensor == nullptr || *tensor->path != path) lacking.push_back(name);
    }
    if (!lacking.empty()) {
      return absl::NotFoundError(
          absl::StrCat(path, " lacks tensors that the index places in it: ", NameSome(lacking)));
    }
  }
  return absl::OkStatus();
}

}  // namespace regatta
