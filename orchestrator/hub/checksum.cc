// Over OpenSSL's digests; see checksum.h.
#include "orchestrator/hub/checksum.h"

#include <openssl/evp.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace regatta {

struct Checksum::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Checksum::Checksum(const std::string& etag, uint64_t size)
    : expected_(absl::AsciiStrToLower(etag)) {
  const bool hex = std::all_of(etag.begin(), etag.end(), absl::ascii_isxdigit);
  if (!hex || (etag.size() != 64 && etag.size() != 40)) return;
  state_ = std::make_unique<State>();
  const bool git = etag.size() == 40;
  EVP_DigestInit_ex(state_->context, git ? EVP_sha1() : EVP_sha256(), nullptr);
  if (git) Add(absl::StrCat("blob ", size, absl::string_view("\0", 1)));
}

Checksum::~Checksum() = default;

bool Checksum::checkable() const { return state_ != nullptr; }

void Checksum::Add(absl::string_view bytes) {
  if (state_ != nullptr) EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

bool Checksum::Matches() {
  if (state_ == nullptr) return true;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, digest, &size);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size}) == expected_;
}

}  // namespace regatta
