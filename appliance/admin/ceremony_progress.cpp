#include "appliance/admin/ceremony_progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "appliance/layout.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr std::string_view kSaid = "said: ";   // no step's name begins so

}  // namespace

Result<Progress> Progress::open(const std::filesystem::path& folder, const crypto::Digest& ceremony) {
  TRY(usb::make_folders(folder));
  Progress progress(folder / "progress");
  if (is_there(progress.file_)) {
    const base::Bytes bytes = TRY(usb::read_file(progress.file_, 1U << 20));
    std::string_view rest = base::as_text(bytes);
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      progress.lines_.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end + 1);
    }
    if (progress.lines_.empty() || progress.lines_.front() != ceremony.hex())
      return fail(Errc::refused, fmt::format("{}: another ceremony was begun on this appliance; finish it with its own file, or clear "
                                             "the TPM and remove that folder", folder.string()));
    return progress;
  }
  progress.lines_.push_back(ceremony.hex());
  TRY(progress.save());
  return progress;
}

bool Progress::has(const std::string& step) const { return std::find(lines_.begin(), lines_.end(), step) != lines_.end(); }

void Progress::say(const std::string& fact) {
  std::string line = std::string(kSaid) + fact;
  if (!has(line)) lines_.push_back(std::move(line));
}

std::vector<std::string> Progress::said() const {
  std::vector<std::string> facts;
  for (const std::string& line : lines_)
    if (line.starts_with(kSaid)) facts.push_back(line.substr(kSaid.size()));
  return facts;
}

Result<void> Progress::done(const std::string& step) {
  lines_.push_back(step);
  return save();
}

Result<void> Progress::save() const {
  std::string text;
  for (const std::string& line : lines_) text += line + "\n";
  TRY(usb::write_file(file_, base::as_bytes(text)));
  return {};
}

}  // namespace appliance
