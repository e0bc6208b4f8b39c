// How far the ceremony got: what was done and what was said, line by line, so that the next run goes on there, and the
// transcript states what every run did. The first line says which ceremony.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace appliance {

class Progress {
 public:
  // Errc::refused when another ceremony was begun in that folder.
  static base::Result<Progress> open(const std::filesystem::path& folder, const crypto::Digest& ceremony);
  bool begun() const { return lines_.size() > 1; }
  bool has(const std::string& step) const;
  // A fact for the transcript, once, however often a step is begun again. On disk with the next done(): what a step says is
  // kept when the step is.
  void say(const std::string& fact);
  std::vector<std::string> said() const;              // in order
  base::Result<void> done(const std::string& step);   // on disk when it returns

 private:
  explicit Progress(std::filesystem::path file) : file_(std::move(file)) {}
  base::Result<void> save() const;
  std::filesystem::path file_;
  std::vector<std::string> lines_;
};

}  // namespace appliance
