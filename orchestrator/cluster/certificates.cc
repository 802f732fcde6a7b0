// Certificates through OpenSSL; see certificates.h.
#include "orchestrator/cluster/certificates.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

absl::Status OpenSslError(const char* what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  return absl::InternalError(absl::StrCat(what, ": ", text));
}

bool IsAddress(const std::string& host) {
  std::unique_ptr<ASN1_OCTET_STRING, Deleter<ASN1_OCTET_STRING_free>> address(
      a2i_IPADDRESS(host.c_str()));
  return address != nullptr;
}

absl::Status AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return OpenSslError(absl::StrCat("certificate extension '", value, "'").c_str());
  }
  return absl::OkStatus();
}

std::string SubjectAltNames(const std::vector<std::string>& hosts) {
  std::string names;
  for (const std::string& host : hosts) {
    absl::StrAppend(&names, names.empty() ? "" : ",", IsAddress(host) ? "IP:" : "DNS:", host);
  }
  return names;
}

// A version 3 certificate with subject CN = `name` and a random serial number, not yet signed.
absl::StatusOr<Certificate> MakeUnsigned(const std::string& name, EVP_PKEY* key, X509* issuer,
                                         int days) {
  Certificate certificate(X509_new());
  uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) != 1) {
    return OpenSslError("random serial number");
  }
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_set_version(certificate.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()),
                  -300);  // tolerates clocks 5 minutes apart
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400L * days);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), issuer ? X509_get_subject_name(issuer) : subject);
  return certificate;
}

absl::StatusOr<Certificate> MakeAuthority(EVP_PKEY* key, int days) {
  ASSIGN_OR_RETURN(Certificate ca, MakeUnsigned("Regatta test authority", key, nullptr, days));
  RETURN_IF_ERROR(AddExtension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE"));
  RETURN_IF_ERROR(AddExtension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  RETURN_IF_ERROR(AddExtension(ca.get(), ca.get(), NID_subject_key_identifier, "hash"));
  if (X509_sign(ca.get(), key, EVP_sha256()) == 0) return OpenSslError("signing the authority");
  return ca;
}

absl::StatusOr<Certificate> MakeLeaf(const std::string& name, EVP_PKEY* key, X509* ca,
                                     EVP_PKEY* ca_key, const CertificateOptions& options) {
  ASSIGN_OR_RETURN(Certificate leaf, MakeUnsigned("regatta-" + name, key, ca, options.days));
  RETURN_IF_ERROR(AddExtension(leaf.get(), ca, NID_basic_constraints, "critical,CA:FALSE"));
  RETURN_IF_ERROR(AddExtension(leaf.get(), ca, NID_ext_key_usage, "serverAuth,clientAuth"));
  RETURN_IF_ERROR(
      AddExtension(leaf.get(), ca, NID_subject_alt_name, SubjectAltNames(options.hosts)));
  if (X509_sign(leaf.get(), ca_key, EVP_sha256()) == 0)
    return OpenSslError("signing a certificate");
  return leaf;
}

// Creates `path` with `mode`, whole or not at all; never follows or replaces an existing file.
absl::Status WritePem(const std::string& path, mode_t mode, BIO* pem) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(pem, &data);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0)
    return absl::UnavailableError(absl::StrCat("cannot create '", path, "': ", strerror(errno)));
  errno = 0;
  const bool written = write(fd, data, size) == size;
  const int error = errno;
  close(fd);
  if (written) return absl::OkStatus();
  unlink(path.c_str());
  return absl::UnavailableError(
      absl::StrCat("cannot write '", path, "': ", strerror(error != 0 ? error : ENOSPC)));
}

absl::Status WritePair(const std::string& dir, const std::string& name, X509* certificate,
                       EVP_PKEY* key) {
  Bio certificate_pem(BIO_new(BIO_s_mem())), key_pem(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_pem.get(), certificate) != 1 ||
      PEM_write_bio_PrivateKey(key_pem.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslError("PEM");
  }
  const std::string key_path = absl::StrCat(dir, "/", name, ".key");
  RETURN_IF_ERROR(WritePem(key_path, 0600, key_pem.get()));
  const absl::Status status =
      WritePem(absl::StrCat(dir, "/", name, ".crt"), 0644, certificate_pem.get());
  if (!status.ok()) unlink(key_path.c_str());
  return status;
}

// The authority and what it signs; `written` names the pairs that are there.
absl::Status WriteAll(const std::string& dir, const CertificateOptions& options,
                      std::vector<std::string>& written) {
  const Key ca_key(EVP_EC_gen("P-256"));
  if (!ca_key) return OpenSslError("generating a key");
  ASSIGN_OR_RETURN(const Certificate ca, MakeAuthority(ca_key.get(), options.days));
  RETURN_IF_ERROR(WritePair(dir, "ca", ca.get(), ca_key.get()));
  written.push_back("ca");
  for (const char* name : {"router", "worker", "orchestrator", "client"}) {
    const Key key(EVP_EC_gen("P-256"));
    if (!key) return OpenSslError("generating a key");
    ASSIGN_OR_RETURN(const Certificate leaf,
                     MakeLeaf(name, key.get(), ca.get(), ca_key.get(), options));
    RETURN_IF_ERROR(WritePair(dir, name, leaf.get(), key.get()));
    written.push_back(name);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> DefaultCertificateHosts() {
  return {"localhost",       "127.0.0.1", "::1", "regatta-router", "regatta-orchestrator",
          "*.regatta-worker"};
}

absl::Status InitCertificates(const std::string& dir, const CertificateOptions& options) {
  if (options.days < 1 || options.days > 3650) {
    return absl::InvalidArgumentError(
        absl::StrCat("--days ", options.days, " is outside 1 to 3650"));
  }
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot create '", dir, "': ", error.message()));
  if (std::filesystem::exists(dir + "/ca.key")) {
    return absl::AlreadyExistsError(
        absl::StrCat("'", dir, "/ca.key' exists; choose another directory or remove it"));
  }
  std::vector<std::string> written;
  const absl::Status status = WriteAll(dir, options, written);
  if (status.ok()) return status;
  // An authority without its certificates would only be in the way of the next attempt.
  for (const std::string& name : written) {
    for (const char* ending : {".key", ".crt"}) {
      std::filesystem::remove(absl::StrCat(dir, "/", name, ending), error);
    }
  }
  return status;
}

bool CertificateCovers(const std::string& pem_file, const std::string& host) {
  const Bio file(BIO_new_file(pem_file.c_str(), "r"));
  if (!file) return false;
  const Certificate certificate(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
  if (!certificate) return false;
  return IsAddress(host)
             ? X509_check_ip_asc(certificate.get(), host.c_str(), 0) == 1
             : X509_check_host(certificate.get(), host.c_str(), host.size(), 0, nullptr) == 1;
}

}  // namespace regatta
