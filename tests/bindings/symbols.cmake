# Compares the symbols that LIBRARY shows with the functions that HEADER declares.
# cmake -D NM=... -D LIBRARY=... -D HEADER=... -P symbols.cmake
execute_process(COMMAND ${NM} --dynamic --defined-only --with-symbol-versions ${LIBRARY} OUTPUT_VARIABLE table
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^ \n]+\n" shown "${table}")
list(TRANSFORM shown STRIP)
list(REMOVE_ITEM shown "DSV3_0" "DSV3_0@@DSV3_0")  # the version itself
list(SORT shown)

file(READ ${HEADER} header)
string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/" "" header "${header}")
string(REGEX MATCHALL "dsv3_[a-z_]+\\(" declared "${header}")
list(TRANSFORM declared REPLACE "\\(" "@@DSV3_0")
list(SORT declared)

if(NOT declared OR NOT shown STREQUAL declared)
  message(FATAL_ERROR "the library shows\n  ${shown}\nthe header declares\n  ${declared}")
endif()
