#include "usb/serial/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/serial/incoming.hpp"
#include "usb/serial/message.hpp"
#include "usb/wire/request.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr Duration kConnect = std::chrono::seconds(15);
constexpr Duration kGoodbye = std::chrono::seconds(2);

Result<void> say(Channel& channel, const Words& words) { return channel.send(encode_words(words)); }

Result<Words> next_words(Channel& channel) {
  const std::optional<Bytes> message = TRY(channel.receive(kAnswer));
  if (!message) return fail(Errc::unavailable, "the other end is there but does not answer");
  return decode_words(*message);
}

// Our last question's answer: refused by the other end, or something it may not say now.
tl::unexpected<base::Error> fail_answer(const Words& words) {
  if (const auto* no = std::get_if<Refused>(&words)) return fail(no->code, base::printable(no->reason));
  if (const auto* no = std::get_if<Abort>(&words)) return fail(no->code, base::printable(no->reason));
  return fail(Errc::malformed, "the other end said something that answers no question");
}

Result<void> send_file(Channel& channel, const usb::ParcelReader& parcel, const usb::FoundFile& file,
                       usb::Progress& so_far, const usb::OnProgress& progress) {
  const usb::FileSource source = TRY(parcel.open_file(file));
  TRY(say(channel, FileBegin{file.path, source.size()}));
  so_far.path = file.path;
  TRY(base::for_each_piece(source, 0, source.size(), [&](ByteView piece) -> Result<void> {
    while (!piece.empty()) {
      const ByteView part = piece.first(std::min(piece.size(), kFileDataBytes));
      TRY(say(channel, FileData{base::to_bytes(part)}));
      piece = piece.subspan(part.size());
      so_far.done += part.size();
      if (progress) TRY(progress(so_far));
      // The receiver may refuse early: its disk is full, say.
      const std::optional<Bytes> early = TRY(channel.receive(Duration::zero()));
      if (!early) continue;
      const Words words = TRY(decode_words(*early));
      return fail_answer(words);
    }
    return {};
  }));
  return say(channel, FileEnd{});
}

Result<void> send_files(Channel& channel, const usb::ParcelReader& parcel, const usb::OnProgress& progress) {
  usb::Progress so_far{parcel.id(), {}, 0, parcel.bytes()};
  for (const usb::FoundFile& file : parcel.files()) TRY(send_file(channel, parcel, file, so_far, progress));
  return {};
}

std::uint32_t link_number() {
  std::random_device random;
  return static_cast<std::uint32_t>(random());
}

Result<std::unique_ptr<Link>> connected_link(const fs::path& device) {
  std::unique_ptr<Link> link = TRY(Link::open(device, Role::host, link_number()));
  const bool answered = TRY(link->connect(kConnect));
  if (!answered)
    return fail(Errc::unavailable, fmt::format("{}: no answer within {} s; is the appliance on, and the cable in its courier's port?",
                                               base::printable(device.string()),
                                               std::chrono::duration_cast<std::chrono::seconds>(kConnect).count()));
  return link;
}

// The name of a request's folder, whatever the path looks like: "x/<id>", "x/<id>/".
fs::path without_slash(const fs::path& folder) { return folder.has_filename() ? folder : folder.parent_path(); }

}  // namespace

Result<Sent> send_parcel(Channel& channel, const usb::ParcelReader& parcel, const usb::OnProgress& progress) {
  const Bytes document = TRY(parcel.document());
  TRY(say(channel, Offer{parcel.kind(), parcel.id(), parcel.bytes(), crypto::sha256(document)}));
  const Words answer = TRY(next_words(channel));
  if (std::holds_alternative<Accepted>(answer)) return Sent{parcel.id(), true};
  if (!std::holds_alternative<Ready>(answer)) return fail_answer(answer);

  if (Result<void> sent = send_files(channel, parcel, progress); !sent) {
    // Dropped by the other end when it is the one who ended it.
    (void)say(channel, Abort{sent.error().code(), sent.error().text()});
    return tl::unexpected<base::Error>(sent.error());
  }
  TRY(say(channel, Commit{}));
  const Words verdict = TRY(next_words(channel));
  if (const auto* accepted = std::get_if<Accepted>(&verdict)) return Sent{parcel.id(), accepted->was_there};
  return fail_answer(verdict);
}

Result<std::vector<std::string>> list_responses(Channel& channel) {
  TRY(say(channel, ListResponses{}));
  std::vector<std::string> ids;
  while (true) {
    const Words words = TRY(next_words(channel));
    const auto* list = std::get_if<ResponseIds>(&words);
    if (list == nullptr) return fail_answer(words);
    if (ids.size() + list->ids.size() > base::limits::kRequestsOnAStick)
      return fail(Errc::too_large, fmt::format("more than {} responses", base::limits::kRequestsOnAStick));
    ids.insert(ids.end(), list->ids.begin(), list->ids.end());
    if (!list->more) return ids;
  }
}

Result<Collected> fetch_response(Channel& channel, const std::string& id, const fs::path& out, const usb::OnProgress& progress) {
  TRY(say(channel, GetResponse{id}));
  const Words answer = TRY(next_words(channel));
  const auto* offer = std::get_if<Offer>(&answer);
  if (offer == nullptr) return fail_answer(answer);
  if (offer->kind != usb::ParcelKind::response || offer->id != id)
    return fail(Errc::malformed, fmt::format("response {} was asked for, something else is offered", id));
  if (has_document(out, *offer)) {
    TRY(say(channel, Accepted{true}));
    return Collected{id, true};
  }

  Result<Incoming> incoming = Incoming::begin(*offer, out, usb::IfThere::replace);
  if (!incoming) {
    (void)say(channel, Refused{incoming.error().code(), incoming.error().text()});
    return tl::unexpected<base::Error>(incoming.error());
  }
  TRY(say(channel, Ready{}));
  while (true) {
    const Words words = TRY(next_words(channel));
    Result<bool> complete = incoming->take(words);
    if (complete && progress) {
      if (Result<void> go_on = progress(incoming->progress()); !go_on) complete = tl::unexpected<base::Error>(go_on.error());
    }
    if (!complete) {
      (void)say(channel, Refused{complete.error().code(), complete.error().text()});
      return tl::unexpected<base::Error>(complete.error());
    }
    if (*complete) break;
  }
  TRY(say(channel, Accepted{false}));
  return Collected{id, false};
}

Result<std::vector<Sent>> send_requests(const fs::path& device, const std::vector<fs::path>& folders,
                                        const usb::OnProgress& progress) {
  std::vector<usb::ParcelReader> parcels;   // all are looked at before the first is sent
  for (const fs::path& given : folders) {
    const fs::path folder = without_slash(given);
    const usb::Folder parent = TRY(usb::Folder::open(folder.has_parent_path() ? folder.parent_path() : fs::path(".")));
    usb::ParcelReader parcel = TRY(usb::ParcelReader::open(parent, folder.filename().string(), usb::ParcelKind::request));
    parcels.push_back(std::move(parcel));
  }
  const std::unique_ptr<Link> link = TRY(connected_link(device));
  std::vector<Sent> sent;
  for (const usb::ParcelReader& parcel : parcels) {
    Sent one = TRY(base::within(parcel.id().substr(0, 8), send_parcel(*link, parcel, progress)));
    sent.push_back(std::move(one));
  }
  TRY(link->finish(kGoodbye));
  return sent;
}

Result<std::vector<Collected>> collect_responses(const fs::path& device, const fs::path& out,
                                                 const std::vector<std::string>& ids, const usb::OnProgress& progress) {
  for (const std::string& id : ids)
    if (!wire::is_request_id(id))
      return fail(Errc::usage, fmt::format("'{}' is no request id: 64 lower-case hex digits are wanted", base::printable(id)));
  const std::unique_ptr<Link> link = TRY(connected_link(device));
  std::vector<std::string> wanted = ids;
  if (wanted.empty()) wanted = TRY(list_responses(*link));
  std::vector<Collected> collected;
  for (const std::string& id : wanted) {
    Collected one = TRY(base::within(id.substr(0, 8), fetch_response(*link, id, out, progress)));
    collected.push_back(std::move(one));
  }
  TRY(link->finish(kGoodbye));
  return collected;
}

}  // namespace serial
