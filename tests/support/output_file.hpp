// A file that is either wholly there or not there, for the test programs. Unlike usb::FileWriter it neither syncs nor
// reads back, so that a benchmark of signing measures signing.
#pragma once

#include <filesystem>

#include "crypto/base/byte_sink.hpp"

namespace tests {

class OutputFile final : public base::PatchableSink {
 public:
  // Opens a temporary file beside `file`; it is removed again unless commit() succeeds.
  static base::Result<OutputFile> create(const std::filesystem::path& file);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile() override;
  base::Result<void> write(base::ByteView bytes) override;
  base::Result<void> overwrite(std::uint64_t offset, base::ByteView bytes) override;
  base::Result<void> commit();  // gives the file its name, replacing an old one

 private:
  OutputFile(std::filesystem::path file, std::filesystem::path part, int descriptor)
      : file_(std::move(file)), part_(std::move(part)), descriptor_(descriptor) {}
  std::filesystem::path file_;
  std::filesystem::path part_;  // empty once committed or moved from
  int descriptor_ = -1;
};

}  // namespace tests
