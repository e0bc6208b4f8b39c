// Saying and hearing words on a channel: what the host's commands and the appliance's server share.
#pragma once

#include <functional>

#include "crypto/base/result.hpp"
#include "usb/serial/link.hpp"
#include "usb/serial/message.hpp"
#include "usb/serial/transfer.hpp"

namespace serial {

base::Result<void> say(Channel& channel, const Words& words);

// Waits `patience`, and for as long as what we said is still on its way. meanwhile: asked four times a second, may be empty.
base::Result<Words> next_words(Channel& channel, const std::function<base::Result<void>()>& meanwhile = {}, Duration patience = kAnswer);

// Our last question's answer: refused by the other end, or something it may not say now.
tl::unexpected<base::Error> fail_answer(const Words& words);

}  // namespace serial
