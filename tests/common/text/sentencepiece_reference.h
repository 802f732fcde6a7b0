// libsentencepiece behind plain types: its headers and Abseil's cannot be in one file, and its
// library and protobuf's not in one program.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace regatta {

class SentencePieceReference {
 public:
  // Trains a model; `flags` as of spm_train. The serialised model, as in tokenizer.model.
  static std::string Train(const std::string& flags, const std::vector<std::string>& sentences);

  explicit SentencePieceReference(const std::string& model);
  ~SentencePieceReference();

  std::vector<int> Encode(const std::string& text) const;
  std::string Decode(const std::vector<int>& ids) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
