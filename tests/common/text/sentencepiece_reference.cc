// The one file that includes libsentencepiece.
#include "tests/common/text/sentencepiece_reference.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include "common/check.h"

namespace regatta {
namespace {

class VectorIterator : public sentencepiece::SentenceIterator {
 public:
  explicit VectorIterator(const std::vector<std::string>& sentences) : sentences_(sentences) {}

  bool done() const override { return next_ == sentences_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return sentences_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& sentences_;
  size_t next_ = 0;
};

}  // namespace

struct SentencePieceReference::Impl {
  sentencepiece::SentencePieceProcessor processor;
};

std::string SentencePieceReference::Train(const std::string& flags,
                                          const std::vector<std::string>& sentences) {
  std::string model;
  VectorIterator iterator(sentences);
  auto status = sentencepiece::SentencePieceTrainer::Train(flags, &iterator, &model);
  CHECK(status.ok()) << status.ToString();
  return model;
}

SentencePieceReference::SentencePieceReference(const std::string& model)
    : impl_(std::make_unique<Impl>()) {
  auto status = impl_->processor.LoadFromSerializedProto(model);
  CHECK(status.ok()) << status.ToString();
}
SentencePieceReference::~SentencePieceReference() = default;

std::vector<int> SentencePieceReference::Encode(const std::string& text) const {
  std::vector<int> ids;
  CHECK(impl_->processor.Encode(text, &ids).ok());
  return ids;
}

std::string SentencePieceReference::Decode(const std::vector<int>& ids) const {
  std::string text;
  CHECK(impl_->processor.Decode(ids, &text).ok());
  return text;
}

}  // namespace regatta
