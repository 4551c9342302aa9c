/** Large blocks of memory that live in a file, so that they cost disk instead of memory. */
#ifndef OPENQNN_SPILL_HPP
#define OPENQNN_SPILL_HPP

namespace openqnn {

/** Take all large blocks but the newest out of memory; their contents stay, in the file. */
void spill_blocks();

}  // namespace openqnn

#endif
