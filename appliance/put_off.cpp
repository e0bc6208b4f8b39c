#include "appliance/put_off.hpp"

#include <algorithm>

#include "crypto/base/limits.hpp"

namespace appliance {

namespace {

constexpr std::chrono::seconds kLongerEachTime{5};
constexpr std::chrono::seconds kLongest{300};

}  // namespace

void PutOff::keep_only(const std::vector<std::string>& ids) {
  std::erase_if(entries_, [&](const auto& each) { return !std::binary_search(ids.begin(), ids.end(), each.first); });
}

bool PutOff::holds(const std::string& id, Moment now) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && now < found->second.again_at;
}

PutOff::Entry* PutOff::entry(const std::string& id) {
  const auto found = entries_.find(id);
  if (found != entries_.end()) return &found->second;
  return entries_.size() < base::limits::kRequestsOnAStick ? &entries_[id] : nullptr;
}

std::chrono::seconds PutOff::put_off(const std::string& id, Moment now) {
  Entry* const put_off = entry(id);
  if (put_off == nullptr) return std::chrono::seconds(0);
  put_off->wait = std::min(put_off->wait + kLongerEachTime, kLongest);
  put_off->again_at = now + put_off->wait;
  return put_off->wait;
}

void PutOff::remember_answered(const std::string& id) {
  if (Entry* const answered = entry(id); answered != nullptr) answered->is_answered = true;
}

bool PutOff::was_answered(const std::string& id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.is_answered;
}

}  // namespace appliance
