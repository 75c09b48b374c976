# Writes the golden pack with one thread and with two, and compares both with the committed checksums SUMS, in the format
# of sha256sum. With DSV3_WRITE_GOLDEN=1 in the environment the checksums are written instead: after a change of an op.
# cmake -D PROGRAM=... -D WORK=... -D SUMS=... -P pack.cmake
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
foreach(threads IN ITEMS 1 2)
  set(pack ${WORK}/pack${threads})
  execute_process(COMMAND ${CMAKE_COMMAND} -E env OMP_NUM_THREADS=${threads} ${PROGRAM} oracle gen --all --seed 1 --out ${pack}
                  COMMAND_ERROR_IS_FATAL ANY)
  file(GLOB_RECURSE files RELATIVE ${pack} ${pack}/*)
  list(SORT files)
  set(found "")
  foreach(name IN LISTS files)
    file(SHA256 ${pack}/${name} sum)
    string(APPEND found "${sum}  ${name}\n")
  endforeach()
  if(threads EQUAL 1 AND DEFINED ENV{DSV3_WRITE_GOLDEN})
    file(WRITE ${SUMS} "${found}")
  endif()
  file(READ ${SUMS} expected)
  if(NOT found STREQUAL expected)
    file(WRITE ${WORK}/found "${found}")
    execute_process(COMMAND diff ${SUMS} ${WORK}/found OUTPUT_VARIABLE difference)
    string(REGEX REPLACE "\n[0-9,]+[acd][0-9,]+" "" difference "${difference}")
    message(FATAL_ERROR "with ${threads} threads the pack differs from ${SUMS}:\n${difference}"
                        "If an op was meant to change: DSV3_WRITE_GOLDEN=1 ctest -R bindings.pack")
  endif()
endforeach()
file(REMOVE_RECURSE ${WORK})
